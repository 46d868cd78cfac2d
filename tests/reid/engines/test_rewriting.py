"""Networks are rewritten to take less time, and give the same."""

import cv2
import numpy as np
import openvino
import openvino.opset13 as ops
import pytest

from reidpipe.reid import SHIPPED_WEIGHTS, Embedder
from reidpipe.reid.engines.onnx_file import read_onnx
from reidpipe.reid.engines.rewriting import merge_gates, scale_outside

CHANNELS, SIDE = 6, 8
ROWS, COLUMNS = 64, 32


def drawn(*shape, seed=0):
    return ops.constant(np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32))


def convolved(x, weights):
    return ops.convolution(x, weights, [1, 1], [0, 0], [0, 0], [1, 1])


def gate(x, weights):
    """Sigmoid of a layer on the mean over all cells; it asks the mean for its shape, as ONNX files do."""
    mean = ops.reduce_mean(x, ops.constant(np.array([2, 3])), True)
    flat = ops.reshape(mean, ops.constant(np.array([0, CHANNELS])), True)
    return ops.sigmoid(ops.reshape(ops.matmul(flat, weights, False, False), ops.shape_of(mean), False))


def side_by_side(first, second):
    def built(x):
        streams = convolved(x, drawn(CHANNELS, CHANNELS, 1, 1, seed=5)), ops.relu(x)
        gates = (gate(stream, weights) for stream, weights in zip(streams, (first(), second()), strict=True))
        return ops.add(*(ops.multiply(stream, one) for stream, one in zip(streams, gates, strict=True)))

    return built


def shared_weights(x):
    weights = drawn(CHANNELS, CHANNELS)
    return side_by_side(lambda: weights, lambda: weights)(x)


def one_after_the_other(x):
    weights = drawn(CHANNELS, CHANNELS)
    for _ in range(2):
        x = ops.multiply(x, gate(x, weights))
    return x


def two_blocks(x):
    return shared_weights(shared_weights(x))


def read_inside(x):
    """The rest of the network reads a gate's mean as well."""
    weights = drawn(CHANNELS, CHANNELS)
    gates = [gate(one, weights) for one in (x, ops.relu(x))]
    mean = gates[0].input_value(0).get_node().input_value(1).get_node().input_value(0)
    return ops.add(ops.multiply(x, gates[0]), ops.multiply(ops.add(x, mean), gates[1]))


def other_channels(x):
    """Sigmoids of means alone, of maps with different numbers of channels."""
    maps = [convolved(x, drawn(count, CHANNELS, 1, 1)) for count in (4, 5)]
    axes = ops.constant(np.array([2, 3]))
    return ops.concat([ops.multiply(one, ops.sigmoid(ops.reduce_mean(one, axes, True))) for one in maps], 1)


def for_one_image(x):
    weights, shape = drawn(CHANNELS, CHANNELS), np.array([1, CHANNELS, 1, 1])
    gates = [ops.reshape(gate(one, weights), shape, False) for one in (x, ops.relu(x))]
    return ops.add(ops.multiply(x, gates[0]), ops.multiply(ops.relu(x), gates[1]))


def means_alone(x):
    axes = ops.constant(np.array([2, 3]))
    return ops.multiply(x, ops.add(ops.reduce_mean(x, axes, True), ops.reduce_mean(ops.relu(x), axes, True)))


def computed(model, *inputs):
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [compiled({0: one})[0] for one in inputs]


def count(model, op):
    return sum(one.get_type_name() == op for one in model.get_ordered_ops())


@pytest.mark.parametrize(
    ("build", "sigmoids"),
    [
        pytest.param(shared_weights, 1, id="shared weights"),
        pytest.param(side_by_side(*[lambda: drawn(CHANNELS, CHANNELS)] * 2), 1, id="equal weights"),
        pytest.param(two_blocks, 2, id="two blocks with the same weights"),
        pytest.param(side_by_side(*[lambda s=s: drawn(CHANNELS, CHANNELS, seed=s) for s in (0, 1)]), 2, id="others"),
        pytest.param(one_after_the_other, 2, id="one after the other"),
        pytest.param(read_inside, 2, id="read inside"),
        pytest.param(other_channels, 2, id="other channels"),
        pytest.param(for_one_image, 2, id="for one image only"),
        pytest.param(means_alone, 0, id="means alone"),
    ],
)
def test_equal_gates_side_by_side_become_one(build, sigmoids):
    def write():
        maps = ops.parameter([-1, CHANNELS, SIDE, SIDE], np.float32)
        return openvino.Model([build(maps)], [maps])

    maps = np.random.default_rng(3).normal(0, 1, (3, 1, CHANNELS, SIDE, SIDE)).astype(np.float32)
    model = write()
    merge_gates(model)
    assert count(model, "Sigmoid") == sigmoids
    assert count(model, "Split") == (sigmoids > 0 and sigmoids < count(write(), "Sigmoid")) * sigmoids
    np.testing.assert_allclose(computed(model, *maps), computed(write(), *maps), rtol=1e-5, atol=1e-6)


def pixels(interpolated, **changes):
    """A network that turns (1, H, W, 3) into channels first and RGB, normalises and scales it, and convolves it."""

    def per_channel(*values):
        return ops.constant(np.array(values, np.float32).reshape(1, 3, 1, 1))

    def build(x):
        x = ops.gather(ops.transpose(x, np.array([0, 3, 1, 2])), np.array([2, 1, 0]), np.array(1))
        x = ops.subtract(ops.convert(x, np.float32), changes.get("mean", per_channel(90, 100, 110)))
        x = interpolated(ops.divide(x, per_channel(50, 60, 70)))
        return convolved(x, drawn(CHANNELS, 3, 3, 3))

    images = ops.parameter([1, ROWS, COLUMNS, 3], np.uint8)
    return openvino.Model([build(images)], [images])


def scaled(rows=0.75, columns=0.75, mode="linear_onnx", coordinates="half_pixel", antialias=False):
    scales = np.array([1, 1, rows, columns], np.float32)

    def interpolated(x):
        return ops.interpolate(
            x, scales, mode, "scales", pads_begin=[0] * 4, pads_end=[0] * 4, antialias=antialias,
            coordinate_transformation_mode=coordinates)  # fmt: skip

    return interpolated


@pytest.mark.parametrize(
    ("rows", "columns"), [pytest.param(0.75, 0.75, id="smaller"), pytest.param(0.5, 1.25, id="lower and wider")])
def test_images_that_a_network_scales_can_be_scaled_before(rows, columns):
    image = np.random.default_rng(1).integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)
    (expected,) = computed(pixels(scaled(rows, columns)), image[None])
    model = pixels(scaled(rows, columns))
    size = scale_outside(model)
    assert size == (COLUMNS * columns, ROWS * rows)
    assert count(model, "Interpolate") == 0
    (found,) = computed(model, cv2.resize(image, size)[None])
    assert np.abs(found - expected).mean() < 0.01 * np.abs(expected).mean()  # pixels are rounded


def with_another_reader(x):
    y = scaled()(x)
    return ops.add(y, ops.reduce_mean(x, ops.constant(np.array([2, 3])), True))


@pytest.mark.parametrize(
    ("interpolated", "changes"),
    [
        pytest.param(lambda x: x, {}, id="as they are"),
        pytest.param(scaled(mode="nearest"), {}, id="nearest pixel"),
        pytest.param(scaled(coordinates="align_corners"), {}, id="corners aligned"),
        pytest.param(scaled(antialias=True), {}, id="antialiased"),
        pytest.param(scaled(rows=0.77), {}, id="no whole number of pixels"),
        pytest.param(with_another_reader, {}, id="pixels are read elsewhere, too"),
        pytest.param(scaled(), {"mean": drawn(1, 3, ROWS, COLUMNS)}, id="a mean for each pixel"),
    ],
)
def test_networks_that_do_not_just_scale_stay_as_they_are(interpolated, changes):
    model = pixels(interpolated, **changes)
    before = [one.get_type_name() for one in model.get_ordered_ops()]
    assert scale_outside(model) is None
    assert [one.get_type_name() for one in model.get_ordered_ops()] == before
    assert list(model.inputs[0].shape) == [1, ROWS, COLUMNS, 3]


@pytest.mark.parametrize("shape", [[1, ROWS, COLUMNS, 3], [1, ROWS, COLUMNS]])
def test_a_constant_with_more_axes_than_an_image_is_no_obstacle(shape):
    images = ops.parameter(shape, np.uint8)
    model = openvino.Model([ops.relu(ops.add(ops.convert(images, np.float32), drawn(1, 1, 1, 1, 1)))], [images])
    assert scale_outside(model) is None


def test_the_gates_of_the_default_model_are_merged_and_its_embeddings_stay_the_same():
    model = read_onnx(SHIPPED_WEIGHTS)
    before = count(model, "Sigmoid")
    merge_gates(model)
    assert (before, count(model, "Sigmoid")) == (25, 7)  # 6 blocks of 4 streams, and the evidence


def test_fast_takes_scaled_crops_unless_it_shall_be_exact():
    fast = SHIPPED_WEIGHTS.with_name("fast.onnx")
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (8, 4, 3), np.uint8).repeat(20, 0).repeat(20, 1) for _ in range(4)]
    exact, rounded = (Embedder(fast, 1, one).embed(crops).embedding for one in ("exact", "float"))
    assert 0.99 < (exact * rounded).sum(1).min() < 0.9999999
