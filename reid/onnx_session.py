"""How is an ONNX file opened?  On the CPU, quietly, and with one line where it cannot be."""

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import WeightsError

if TYPE_CHECKING:
    import onnxruntime


def open_session(path: Path, threads: int) -> "onnxruntime.InferenceSession":
    """Load a network; `threads` is how many CPU threads one batch may use.

    Raises:
        WeightsError: no such file, or not an ONNX model that onnxruntime can run.
    """
    import onnxruntime  # here, so that importing reidpipe.reid stays cheap
    from onnxruntime.capi import onnxruntime_pybind11_state as raised  # its errors share no base of their own

    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: its warnings are about graph nodes, not about the user's work
    kinds = raised.Fail, raised.InvalidArgument, raised.InvalidGraph, raised.InvalidProtobuf
    try:
        return onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except (*kinds, raised.NotImplemented, raised.RuntimeException) as error:
        raise WeightsError(f"{path}: not a readable ONNX model ({type(error).__name__})") from error
