"""Round the weights of convolutions so that what they compute from real frames changes least.

Rounding every weight to the nearest of 255 steps ignores what it is multiplied with. Here the weights of an output
channel are rounded one after the other, and those that are still to be rounded make up for the error (GPTQ, Frantar et
al., ICLR 2023, equations 2 and 3), as far as the covariance of the input on calibration frames allows. The mean of what
remains goes into the bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as operators

WINDOWS = 64  # per frame and convolution, at random
FRAMES_AT_ONCE = 8  # whose windows are multiplied together
DAMPING = 0.01  # share of the mean variance that is added to every variance, so that the covariance can be inverted
SMALLEST_STEP = np.float32(1e-12)  # of weights that are all 0
COLUMNS_AT_ONCE = 64  # of weights, whose errors reach the later ones together: the same result in less time

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution in float and the sum that adds its bias.

    Attributes:
        name: of the convolution.
        weights: float32 (O, C, h, w).
        bias: float32 (O,).
        total: name of the sum.
        side: which of the sum's inputs is the bias.
    """

    name: str
    weights: Floats
    bias: Floats
    total: str
    side: int

    @classmethod
    def of(cls, convolution: ov.Node) -> Layer | None:
        """The layer of a convolution; None if its weights or its bias are no constants."""
        weights = convolution.input_value(1).get_node()
        for target in convolution.output(0).get_target_inputs():
            total, side = target.get_node(), 1 - target.get_index()
            if total.get_type_name() != "Add" or weights.get_type_name() != "Constant":
                continue
            bias = total.input_value(side).get_node()
            if bias.get_type_name() == "Constant" and bias.data.size == len(weights.data):
                values = np.asarray(weights.data, np.float32), np.asarray(bias.data, np.float32).ravel()
                return cls(convolution.get_friendly_name(), *values, total.get_friendly_name(), side)
        return None

    def write(self, operations: Mapping[str, ov.Node], weights: ov.Node, bias: Floats) -> None:
        """Put weights and a bias (O,) in place of those of a network's operations of these names."""
        operations[self.name].input(1).replace_source_output(weights.output(0))
        shaped = operators.constant(bias.reshape(1, -1, 1, 1).astype(np.float32))
        operations[self.total].input(self.side).replace_source_output(shaped.output(0))


@dataclass(frozen=True, slots=True)
class Windows:
    """How a convolution cuts windows from its input; equal ones share their mean and covariance."""

    tensor: tuple[str, int]  # the operation that computes the input, and which of its outputs
    kernel_hw: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]

    @classmethod
    def of(cls, convolution: ov.Node) -> Windows:
        """The windows of a convolution."""
        source, attributes = convolution.input_value(0), convolution.get_attributes()
        height, width = list(convolution.input_value(1).shape)[2:]
        top, left = attributes["pads_begin"]
        bottom, right = attributes["pads_end"]
        tensor = source.get_node().get_friendly_name(), source.get_index()
        return cls(tensor, (height, width), tuple(attributes["strides"]), ((top, bottom), (left, right)))

    def cut(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Random windows, float32 (WINDOWS, K), of one image's values (C, H, W)."""
        padded = np.pad(values, ((0, 0), *self.padding))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.kernel_hw, (1, 2))
        windows = windows[:, :: self.strides[0], :: self.strides[1]]  # (C, H', W', h, w)
        rows, columns = (rng.integers(side, size=WINDOWS) for side in windows.shape[1:3])
        return windows[:, rows, columns].swapaxes(0, 1).reshape(WINDOWS, -1)


def round_weights(quantised: ov.Model, original: ov.Model, images: Sequence[Floats]) -> None:
    """Round the weights of all quantised convolutions anew, in place, and correct their biases.

    Convolutions with groups or dilations keep the weights they have.

    Args:
        quantised: the network with 8-bit activations and weights, as NNCF writes it.
        original: the same network in float.
        images: calibration frames as the network takes them, float32 (1, 3, H, W).
    """
    names = {one.get_friendly_name() for one in quantised.get_ops() if _is_quantised(one)}
    candidates = [Layer.of(one) for one in original.get_ordered_ops() if one.get_friendly_name() in names]
    layers = [one for one in candidates if one is not None]
    at = {one.get_friendly_name(): one for one in quantised.get_ops()}
    largest = {layer.name: _largest_integer(at[layer.name].input_value(1)) for layer in layers}
    for layer in layers:  # what a layer reads is then only off by what rounding the activations takes
        layer.write(at, operators.constant(layer.weights), layer.bias)
    cuts = {layer.name: Windows.of(at[layer.name]) for layer in layers}
    moments = _measure(quantised, list(dict.fromkeys(cuts.values())), images)
    for layer in layers:
        mean, covariance = moments[cuts[layer.name]]
        flat = layer.weights.reshape(len(layer.weights), -1)  # (O, K)
        step = np.maximum(np.abs(flat).max(1, keepdims=True) / largest[layer.name], SMALLEST_STEP)  # (O, 1)
        whole = compensated(flat / step, covariance, largest[layer.name])
        integers = operators.constant(whole.astype(np.int8).reshape(layer.weights.shape))
        again = operators.multiply(operators.convert(integers, "f32"), operators.constant(step.reshape(-1, 1, 1, 1)))
        layer.write(at, again, layer.bias + (flat - whole * step) @ mean)


def compensated(weights: Floats, covariance: Floats, largest: int) -> Floats:
    """Round rows of weights to whole numbers, so that the variance of the products' error is small.

    Args:
        weights: float32 (O, K), in steps.
        covariance: of what they are multiplied with, float32 (K, K).
        largest: of the whole numbers.

    Returns:
        Whole numbers in [-largest, largest], float32 (O, K).
    """
    variances = np.diag(covariance).astype(np.float64)
    order = np.argsort(-variances, kind="stable")  # the largest first: most are left to make up for their error
    damped = covariance.astype(np.float64) + np.eye(len(covariance)) * (DAMPING * variances.mean() or 1)
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    factor = np.linalg.cholesky(inverse).T.astype(np.float32)  # (K, K), upper
    left, whole = weights[:, order].copy(), np.zeros_like(weights)
    for start in range(0, len(order), COLUMNS_AT_ONCE):
        block = slice(start, min(start + COLUMNS_AT_ONCE, len(order)))
        errors = np.zeros((len(left), block.stop - start), np.float32)
        for column in range(start, block.stop):
            whole[:, column] = np.rint(left[:, column]).clip(-largest, largest)
            errors[:, column - start] = (left[:, column] - whole[:, column]) / factor[column, column]
            left[:, column : block.stop] -= np.outer(errors[:, column - start], factor[column, column : block.stop])
        left[:, block.stop :] -= errors @ factor[block, block.stop :]
    return whole[:, np.argsort(order)]


def _measure(
    model: ov.Model, cuts: Sequence[Windows], images: Sequence[Floats]
) -> dict[Windows, tuple[Floats, Floats]]:
    """Mean float32 (K,) and covariance float32 (K, K) of the windows that a network's convolutions read on images."""
    model = model.clone()  # which gets further outputs
    operations = {one.get_friendly_name(): one for one in model.get_ops()}
    tensors = list(dict.fromkeys(cut.tensor for cut in cuts))
    results = [operators.result(operations[name].output(index)) for name, index in tensors]
    inner = ov.Model(results, model.get_parameters())
    rng = np.random.default_rng(0)  # the same footage gives the same file
    sums: dict[Windows, NDArray[np.float64]] = {}
    requests: dict[tuple[int, ...], ov.InferRequest] = {}
    for first in range(0, len(images), FRAMES_AT_ONCE):
        windows: dict[Windows, list[Floats]] = {cut: [] for cut in cuts}
        for image in images[first : first + FRAMES_AT_ONCE]:
            if image.shape not in requests:
                sized = inner.clone()
                sized.reshape(list(image.shape))
                compiled = ov.Core().compile_model(sized, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
                requests[image.shape] = compiled.create_infer_request()
            requests[image.shape].infer({0: image})
            for cut in cuts:
                values = requests[image.shape].get_output_tensor(tensors.index(cut.tensor)).data[0]
                windows[cut].append(cut.cut(values, rng))
        for cut, parts in windows.items():
            rows = np.concatenate(parts)  # (N, K)
            rows = np.column_stack([rows, np.ones(len(rows), np.float32)])
            sums[cut] = sums.get(cut, 0) + (rows.T @ rows).astype(np.float64)  # (K + 1, K + 1)
    return {cut: _moments(total) for cut, total in sums.items()}


def _moments(total: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Mean (K,) and covariance (K, K) from sums of products of rows, the last column of which is 1: (K + 1, K + 1)."""
    products, mean = total[:-1, :-1] / total[-1, -1], total[-1, :-1] / total[-1, -1]
    return mean.astype(np.float32), (products - np.outer(mean, mean)).astype(np.float32)


def _is_quantised(operation: ov.Node) -> bool:
    if operation.get_type_name() != "Convolution" or operation.input_value(1).get_node().get_type_name() == "Constant":
        return False
    return list(operation.get_attributes()["dilations"]) == [1, 1]


def _largest_integer(weights: ov.Output) -> int:
    """The largest of a convolution's integer weights: 127, and less in a first layer, whose sums could overflow."""
    node = weights.get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return max(int(np.abs(np.asarray(node.data, np.float32)).max()), 1)
