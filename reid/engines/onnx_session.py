"""Open ONNX files with onnxruntime on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WeightsError
from .onnx_file import check_onnx_file

if TYPE_CHECKING:
    import onnxruntime


def open_session(path: Path, threads: int) -> "onnxruntime.InferenceSession":
    """Load a network.

    Args:
        path: an ONNX file.
        threads: number of CPU threads for one batch.

    Raises:
        WeightsError: no such file, or not an ONNX model that onnxruntime can run.
    """
    import onnxruntime  # imported late, so that importing reidpipe.reid stays cheap

    check_onnx_file(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: its warnings concern graph nodes, not the user
    try:
        return onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except onnx_errors() as error:
        raise WeightsError(f"{path}: not a readable ONNX model ({type(error).__name__})") from error


def onnx_errors() -> tuple[type[Exception], ...]:
    """Every error with which onnxruntime refuses a network; they have no common base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    own = [one for one in vars(raised).values() if isinstance(one, type) and issubclass(one, Exception)]
    return (*own, RuntimeError, ValueError, LookupError, MemoryError)
