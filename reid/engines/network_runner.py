"""Run ONNX networks on the processor with OpenVINO."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError
from .float_type import arithmetic_of, fastest_float, without_denormals
from .int8 import computes_int8, quantise, read_ranges
from .onnx_file import onnx_metadata, read_onnx
from .rewriting import merge_gates, scale_outside

if TYPE_CHECKING:
    import openvino

Shape = list[int]  # -1 for a side of any size
Arithmetic = Literal["auto", "int8", "float", "exact"]


class NetworkRunner:
    """A network whose one input is a batch of images, compiled for a fixed number of them.

    Batches are spread over the threads.  The result for an image does not depend on what else is in its batch.

    Attributes:
        metadata: the file's own entries.
        inputs: element type, such as "u8", and shape of each input.
        outputs: shape of each output.
        computes_int8: whether large convolutions are computed with 8-bit integers.
        arithmetic: what it computes with, such as "int8 and float32"; empty before it ran.
    """

    def __init__(self, path: Path, threads: int, arithmetic: Arithmetic = "auto", batch: int = 1) -> None:
        """Read and compile a network.

        Args:
            path: an ONNX file.
            threads: number of CPU threads.
            arithmetic: `int8` computes large convolutions with 8-bit integers, `float` all in the floating-point
                numbers that are fastest here, `exact` in float32; `auto` takes int8 where the processor has
                instructions for it and the file has ranges.  All but `exact` round pixels that are scaled.
            batch: number of images that are computed at once, ≥ 1.  A last batch that is not full takes as long.

        Raises:
            WeightsError: no such file, or not an ONNX model that OpenVINO can run, or one without ranges for int8.
        """
        import openvino  # imported late, so that importing reidpipe.reid stays cheap

        self._path, self._core, self._batch = path, openvino.Core(), batch
        model = read_onnx(path)
        try:
            self.metadata = onnx_metadata(model)
            self.inputs = {
                one.any_name: (one.element_type.get_type_name(), _shape(one.partial_shape))
                for one in model.inputs
            }
            self.outputs = {one.any_name: _shape(one.partial_shape) for one in model.outputs}
        except (RuntimeError, ValueError) as error:  # names that are missing or no text
            raise WeightsError(f"{path}: has damaged names or metadata: export it again") from error
        self._options: dict[str, object] = {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads, **without_denormals(), **fastest_float()}
        self._exact = arithmetic == "exact"
        if self._exact:
            self._options["INFERENCE_PRECISION_HINT"] = "f32"
        wanted = arithmetic == "int8" or (arithmetic == "auto" and computes_int8())
        self._ranges = read_ranges(path, self.metadata) if wanted else {}
        if arithmetic == "int8" and not self._ranges:
            raise WeightsError(f"{path}: has no ranges for 8-bit integers: export it with --int8 CROPS")
        self.computes_int8 = bool(self._ranges)
        self.arithmetic = ""
        self._model: openvino.Model | None = model
        self._requests: openvino.AsyncInferQueue | None = None
        self._scaled: tuple[int, int] | None = None  # columns and rows of images that are scaled before they go in
        self._lock = threading.Lock()  # the queue of requests serves one batch at a time

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """Run N images; may be called by several threads at once.

        Args:
            images: (N, …), the input.
            outputs: names of outputs.

        Returns:
            One float32 (N, …) per name.

        Raises:
            WeightsError: the network cannot run.
        """
        found = [np.empty((len(images), *self.outputs[name][1:]), np.float32) for name in outputs]

        def receive(request: "openvino.InferRequest", start: int) -> None:
            for rows, name in zip(found, outputs, strict=True):
                part = rows[start : start + self._batch]
                part[:] = request.get_tensor(name).data[: len(part)]

        with self._lock:
            try:
                requests = self._requests = self._requests or self._compile()
                requests.set_callback(receive)
                for start in range(0, len(images), self._batch):
                    requests.start_async({0: self._fitting(images[start : start + self._batch])}, start)
                requests.wait_all()
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise WeightsError(f"{self._path}: OpenVINO cannot run this model: {reason}") from error
        return found

    def _fitting(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One full batch of what the network takes, from as many images or fewer."""
        if self._scaled:
            images = np.stack([cv2.resize(image, self._scaled) for image in images])
        missing = self._batch - len(images)
        return np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)]) if missing else images

    def _compile(self) -> "openvino.AsyncInferQueue":
        import openvino

        (shape,) = (shape for _, shape in self.inputs.values())
        assert self._model is not None
        merge_gates(self._model)
        self._model.reshape([1, *shape[1:]])
        if not self._exact:
            self._scaled = scale_outside(self._model)
        quantise(self._model, self._ranges)
        (taken,) = self._model.inputs
        self._model.reshape([self._batch, *taken.shape[1:]])
        compiled = self._core.compile_model(self._model, "CPU", self._options)
        self._model = None  # its weights need not be kept twice
        self.arithmetic = arithmetic_of(compiled, self.computes_int8)
        return openvino.AsyncInferQueue(compiled)


def _shape(shape: "openvino.PartialShape") -> Shape:
    return [one.get_length() if one.is_static else -1 for one in shape]
