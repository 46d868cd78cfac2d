"""Compute the large convolutions of a network with 8-bit integers (Jacob et al., CVPR 2018), where a processor can.

The file stays one of floating-point numbers. It also holds the range of what such convolutions read, measured on crops;
with it their inputs and weights are rounded before OpenVINO compiles the network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError

if TYPE_CHECKING:
    import openvino

RANGES_KEY: Final = "int8_ranges"  # of the file's metadata
SMALLEST_SHARE: Final = 0.005  # of all multiplications: in smaller convolutions rounding takes what 8 bits save
FEWEST_CHANNELS: Final = 16  # of the input: the first layer, which reads pixels, stays precise
LEVELS: Final = 256
WIDEST_SHARE: Final = 0.01  # of the images: their extremes would make the steps of all others coarse

Ranges = dict[str, tuple[float, float]]  # smallest and largest value of a tensor, by its name


@cache
def computes_int8() -> bool:
    """Whether this processor has fast instructions for 8-bit integers."""
    import openvino  # imported late, so that importing reidpipe.reid stays cheap

    return "INT8" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def measure_ranges(core: openvino.Core, model: openvino.Model, images: NDArray[np.uint8]) -> Ranges:
    """Run images through a network, and note the range of every tensor that a large convolution reads.

    It holds the values of all images but the most extreme hundredth.

    Args:
        core: of OpenVINO.
        model: with one input, of fixed shape, one image; it gets further outputs.
        images: (N, …), N ≥ 1.
    """
    names = sorted({_name(one.input_value(0)) for one in _large_convolutions(model)} - {""})
    model.add_outputs(names)
    request = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    bounds = np.zeros((len(images), len(names), 2))
    for row, image in enumerate(images):
        request.infer({0: image[None]})
        for column, name in enumerate(names):
            values = request.get_tensor(name).data
            bounds[row, column] = values.min(), values.max()
    low = np.quantile(bounds[..., 0], WIDEST_SHARE, 0, method="lower").clip(None, 0)  # 0 keeps its exact value
    high = np.quantile(bounds[..., 1], 1 - WIDEST_SHARE, 0, method="higher").clip(0)
    pairs = zip(names, low.tolist(), high.tolist(), strict=True)
    return {name: (least, most) for name, least, most in pairs if least < most}


def quantise(model: openvino.Model, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Round what the large convolutions read to 256 steps of its range, and their weights to 255 per channel, in place.

    Args:
        model: of fixed shape, one image.
        ranges: of `measure_ranges`; tensors that this network lacks are left out.
    """
    from openvino import opset13 as operators

    rounded = {}
    for convolution in list(_large_convolutions(model)):
        source, weights = convolution.input_value(0), convolution.input_value(1)
        name = _name(source)
        if name not in ranges:
            continue
        if name not in rounded:
            low, high = (np.float32(one) for one in _with_exact_zero(*ranges[name]))
            rounded[name] = operators.fake_quantize(source, low, high, low, high, LEVELS).output(0)
        convolution.input(0).replace_source_output(rounded[name])
        # As integers already: OpenVINO takes longer, and more memory, to find them itself.
        values = weights.get_node().data
        step = np.abs(values).max((1, 2, 3), keepdims=True) / np.float32(LEVELS // 2 - 1)  # (O, 1, 1, 1)
        step = np.maximum(step, np.float32(1e-12))
        whole = operators.constant(np.rint(values / step).astype(np.int8))
        again = operators.multiply(operators.convert(whole, "f32"), operators.constant(step))
        convolution.input(1).replace_source_output(again.output(0))


def read_ranges(path: object, metadata: Mapping[str, str]) -> Ranges:
    """The ranges in a file's metadata; empty if it has none.

    Raises:
        WeightsError: they are damaged; `path` is what the message calls the file.
    """
    try:
        found = json.loads(metadata.get(RANGES_KEY, "{}"))
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: has damaged ranges for 8-bit integers: export it again") from error
    if not all(math.isfinite(high - low) and low <= 0 <= high and low < high for low, high in ranges.values()):
        raise WeightsError(f"{path}: has ranges for 8-bit integers that are none: export it again")
    return ranges


def ranges_as_metadata(ranges: Ranges) -> dict[str, str]:
    """Ranges as an entry of a file's metadata, with six digits."""
    return {RANGES_KEY: json.dumps({name: [float(f"{one:.6g}") for one in pair] for name, pair in ranges.items()})}


def _large_convolutions(model: openvino.Model) -> Iterator[openvino.Node]:
    """Convolutions without groups, with constant weights, that are worth it."""
    convolutions = [one for one in model.get_ops() if one.get_type_name() in ("Convolution", "GroupConvolution")]
    smallest = SMALLEST_SHARE * sum(_multiplications(one) for one in convolutions)
    for one in convolutions:
        weights = one.input_value(1)
        if one.get_type_name() != "Convolution" or weights.get_node().get_type_name() != "Constant":
            continue
        if list(weights.shape)[1] >= FEWEST_CHANNELS and _multiplications(one) >= smallest:
            yield one


def _multiplications(convolution: openvino.Node) -> int:
    """For one image, of fixed shape."""
    weights = list(convolution.input_value(1).shape)  # (O, I, h, w), or with groups (G, O, I, h, w)
    cells = list(convolution.output(0).shape)[2:]
    return math.prod(int(one) for one in weights + cells)


def _name(tensor: openvino.Output) -> str:
    """A tensor's name in the file; of several, always the same; empty if it has none."""
    return min(tensor.get_names(), default="")


def _with_exact_zero(low: float, high: float) -> tuple[float, float]:
    """Move a range by less than one step, so that one of its steps is exactly 0, as most of a ReLU's results are."""
    step = (high - low) / (LEVELS - 1)
    zero = round(-low / step)
    return -zero * step, (LEVELS - 1 - zero) * step
