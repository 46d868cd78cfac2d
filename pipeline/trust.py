"""Decide which weights may be loaded: files that hold data only, or any file that the user trusts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..reid.engines.onnx_file import check_onnx_file
from ..reid.wording import did_you_mean
from .errors import WeightsError

OPENVINO_FOLDER = "_openvino_model"  # the end of the folder that `yolo export format=openvino` writes
# Ultralytics chooses a parser by these parts of a name, some versions by the first that it finds.
OTHER_FORMATS = (
    ".pt", ".torchscript", ".engine", ".mlpackage", ".mlmodel", ".pb", ".tflite", ".mnn", ".yaml", ".yml",
    "_saved_model", "_paddle_model", "_ncnn_model", "_imx_model", "_xilinx_model", "_qnn",
)  # fmt: skip


def require_data_only(key: str, weights: str, trusted: bool, known: Iterable[str] = ()) -> None:
    """Refuse weights that can run a program when they are loaded, unless they are trusted.

    ONNX and OpenVINO files hold a graph of known operations.  A .pt file is a pickle, which may call any function; so
    may the parsers of the other formats of ultralytics (TorchScript, TensorRT, model definitions in YAML).  A model
    name would download such a file.

    Args:
        key: the config key or option, for the message.
        weights: a path or a name.
        trusted: whether the user gave --trust-weights.
        known: names that need no trust, to suggest one for a misspelt name.

    Raises:
        WeightsError: missing or not trusted; one line that says why, and what to do.
    """
    path = Path(weights)
    is_name = len(path.parts) == 1 and path.suffix != ".onnx"
    if not _exists(key, path) and not is_name:
        raise WeightsError(f"{key}: no such file {weights}{did_you_mean(path.name, [*known, *_beside(path)])}")
    other = any(part in path.name.lower() for part in OTHER_FORMATS)
    if trusted or (not other and _is_openvino_folder(key, path)):
        return
    if path.suffix == ".onnx" and not other:
        try:
            return check_onnx_file(path)
        except WeightsError as error:
            raise WeightsError(f"{key}: {error}") from error
    hint = did_you_mean(weights, known)
    if hint:
        raise WeightsError(f"{key}: no such file {weights}{hint}")
    what = "it would be downloaded, and loading it" if not _exists(key, path) else "loading it"
    raise WeightsError(
        f"{key}: {weights} is neither ONNX nor OpenVINO: {what} can run any program that is hidden in it; "
        "export it to ONNX, or add --trust-weights if you trust its source"
    )


def _is_openvino_folder(key: str, path: Path) -> bool:
    try:
        if not path.name.endswith(OPENVINO_FOLDER) or not path.is_dir():
            return False
        outside = [file for file in path.iterdir() if file.resolve().parent != path.resolve()]
    except OSError as error:
        raise WeightsError(f"{key}: {path}: {error.strerror}") from error
    if outside:
        raise WeightsError(f"{key}: {outside[0]} is a link to a file outside of its folder: put a copy there")
    return True


def _exists(key: str, path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # too long, or in a closed folder
        raise WeightsError(f"{key}: {path}: {error.strerror}") from error


def _beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []
