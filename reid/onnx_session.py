"""Open ONNX files with onnxruntime on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import WeightsError

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
    from onnxruntime.capi import onnxruntime_pybind11_state as raised  # its errors have no common base class

    try:
        is_file = path.is_file()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    if not is_file:
        raise WeightsError(f"{path}: no such weights file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: its warnings concern graph nodes, not the user
    kinds = raised.Fail, raised.InvalidArgument, raised.InvalidGraph, raised.InvalidProtobuf
    try:
        return onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except (*kinds, raised.NotImplemented, raised.RuntimeException) as error:
        raise WeightsError(f"{path}: not a readable ONNX model ({type(error).__name__})") from error
