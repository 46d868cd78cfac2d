"""Read ONNX files from anyone: the tensors that a file keeps in other files must lie beside it; metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WeightsError

if TYPE_CHECKING:
    import openvino
    from google.protobuf.message import Message

KEY = b"location"  # names the other file; without this word in it, a file keeps all tensors to itself


def check_onnx_file(path: Path) -> None:
    """Refuse a file that is missing, no ONNX model, or reads its tensors from outside of its own folder.

    The libraries refuse only some of such paths: onnxruntime follows links, and what is read ends up in the outputs.

    Raises:
        WeightsError: as above; the message begins with the path.
    """
    try:
        if not path.is_file():
            raise WeightsError(f"{path}: no such weights file")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    if KEY not in content:
        return
    import onnx  # imported late: few files have tensors elsewhere
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise WeightsError(f"{path}: not a readable ONNX model") from error
    folder = path.resolve().parent
    for location in set(_locations(model)):
        try:
            file = (folder / location).resolve()
            inside = file.parent == folder and file.is_file()
        except (OSError, ValueError, RuntimeError):  # too long, NUL, a loop of links
            inside = False
        if not inside:
            shown = location if len(location) <= 80 else f"{location[:77]}..."
            raise WeightsError(f"{path}: reads tensors from {shown!r}, which is no file in its folder: export one file")


def read_onnx(path: Path) -> openvino.Model:
    """Read an ONNX file with OpenVINO, and never as one of the other formats that OpenVINO would recognise.

    Raises:
        WeightsError: as `check_onnx_file`, or not an ONNX model that OpenVINO can read.
    """
    check_onnx_file(path)
    from openvino import frontend

    failures = (
        frontend.GeneralFailure,
        frontend.InitializationFailure,
        frontend.NotImplementedFailure,
        frontend.OpConversionFailure,
        frontend.OpValidationFailure,
    )
    try:
        reader = frontend.FrontEndManager().load_by_framework("onnx")
        return reader.convert(reader.load(str(path)))
    except (*failures, RuntimeError, ValueError, LookupError, MemoryError) as error:
        raise WeightsError(f"{path}: is damaged or not an ONNX model: export it again") from error


def onnx_metadata(model: openvino.Model) -> dict[str, str]:
    """The entries of the ONNX file that a model was read from, which OpenVINO keeps in this place.

    Raises:
        ValueError: one is no text.
    """
    if "framework" not in model.rt_info:
        return {}
    return {str(key): str(entry.value) for key, entry in model.rt_info["framework"].items()}


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file.

    Raises:
        google.protobuf.message.DecodeError: it is no ONNX file.
    """
    import onnx

    return {entry.key: entry.value for entry in onnx.load(str(path), load_external_data=False).metadata_props}


def write_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    """Replace the metadata of an ONNX file that holds all its tensors."""
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _locations(message: Message) -> Iterator[str]:
    """The files of all tensors below a message, in subgraphs, attributes and functions, too."""
    for described, value in message.ListFields():
        if described.name == "external_data":
            yield from (entry.value for entry in value if entry.key == KEY.decode())
        elif described.message_type is not None:
            for child in value if hasattr(value, "__len__") and not hasattr(value, "ListFields") else [value]:
                yield from _locations(child)
