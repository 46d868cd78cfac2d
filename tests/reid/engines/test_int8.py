"""Large convolutions can be computed with 8-bit integers, and give nearly the same."""

import json

import numpy as np
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from reidpipe.reid import SHIPPED_WEIGHTS, Embedder, WeightsError
from reidpipe.reid.engines import int8, network_runner
from reidpipe.reid.engines.network_runner import NetworkRunner

SIDE, CHANNELS = 64, 16


@pytest.fixture
def network(tmp_path):
    """Pixels / 255, repeated to 16 channels, ReLU of a large and then of a small convolution."""
    rng = np.random.default_rng(0)
    large = rng.normal(0, 0.1, (32, CHANNELS, 5, 5)).astype(np.float32)
    small = rng.normal(0, 0.1, (1, 32, 1, 1)).astype(np.float32)  # a quarter of a percent of all multiplications
    tensors = [
        numpy_helper.from_array(value, name)
        for name, value in (
            ("large", large), ("small", small), ("scale", np.float32(1 / 255)),
            ("repeats", np.array([1, CHANNELS, 1, 1])), ("axes", np.array([1])))
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["scaled"]),
        helper.make_node("Unsqueeze", ["scaled", "axes"], ["single"]),
        helper.make_node("Tile", ["single", "repeats"], ["wide"]),
        helper.make_node("Conv", ["wide", "large"], ["first"], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["first"], ["positive"]),
        helper.make_node("Conv", ["positive", "small"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "convolutions",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def write(metadata=None):
        helper.set_model_props(model, metadata or {})
        save(model, str(tmp_path / "network.onnx"))
        return tmp_path / "network.onnx"

    return write


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE), np.uint8)


def read(path):
    model = openvino.Core().read_model(path)
    model.reshape([1, SIDE, SIDE])
    return model


def test_the_ranges_are_those_of_what_large_convolutions_read(network, images):
    ranges = int8.measure_ranges(openvino.Core(), read(network()), images)
    assert ranges == {"wide": (0.0, pytest.approx(images.max() / 255))}


def test_one_extreme_image_of_many_does_not_widen_the_range(network):
    grey = np.full((200, SIDE, SIDE), 51, np.uint8)
    grey[7] = 255
    ranges = int8.measure_ranges(openvino.Core(), read(network()), grey)
    assert ranges == {"wide": (0.0, pytest.approx(0.2))}


def test_only_large_convolutions_are_rounded_and_the_result_is_nearly_the_same(network, images):
    ranges = int8.measure_ranges(openvino.Core(), read(network()), images)
    plain, calibrated = network(), int8.ranges_as_metadata(ranges)
    expected = NetworkRunner(plain, 1, "exact").run(images, ["out"])[0]
    model = read(plain)
    int8.quantise(model, ranges)
    assert sum(one.get_type_name() == "FakeQuantize" for one in model.get_ops()) == 1  # its input
    small = [one for one in model.get_ops() if one.get_output_element_type(0) == openvino.Type.i8]
    assert [list(one.shape) for one in small] == [[32, CHANNELS, 5, 5]]  # its weights
    found = NetworkRunner(network(calibrated), 1, "int8").run(images, ["out"])[0]
    assert 0 < np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("arithmetic", "fast", "expected"),
    [
        ("auto", True, True), ("auto", False, False),
        ("float", True, False), ("exact", True, False), ("int8", False, True),
    ],
)  # fmt: skip
def test_integers_are_used_where_they_are_wanted_or_fast(network, images, monkeypatch, arithmetic, fast, expected):
    monkeypatch.setattr(network_runner, "computes_int8", lambda: fast)
    ranges = int8.measure_ranges(openvino.Core(), read(network()), images)
    runner = NetworkRunner(network(int8.ranges_as_metadata(ranges)), 1, arithmetic)
    assert runner.computes_int8 is expected


def test_integers_need_ranges(network, monkeypatch):
    monkeypatch.setattr(network_runner, "computes_int8", lambda: True)
    assert NetworkRunner(network(), 1).computes_int8 is False
    with pytest.raises(WeightsError, match=r"network\.onnx: has no ranges for 8-bit integers: export it with --int8"):
        NetworkRunner(network(), 1, "int8")


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '{"a": 1}', '{"a": [1, 2, 3]}', '{"a": ["b", 1]}', '{"a": [0, NaN]}', '{"a": [0, Infinity]}',
     '{"a": [1, 2]}', '{"a": [0, 0]}', '{"a": null}', "[" * 100_000],
)  # fmt: skip
def test_damaged_ranges_are_refused_in_one_line(network, text):
    with pytest.raises(WeightsError, match=r"network\.onnx: has .*: export it again") as caught:
        NetworkRunner(network({int8.RANGES_KEY: text}), 1, "int8")
    assert "\n" not in str(caught.value)


def test_ranges_of_tensors_that_a_network_lacks_change_nothing(network, images):
    expected = NetworkRunner(network(), 1, "float").run(images, ["out"])[0]
    runner = NetworkRunner(network({int8.RANGES_KEY: json.dumps({"other": [0, 1]})}), 1, "int8")
    np.testing.assert_allclose(runner.run(images, ["out"])[0], expected, atol=1e-4)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (-0.3, 7.0), (0.0, 1.0), (-5.0, 0.0)])
def test_zero_keeps_its_exact_value(low, high):
    moved = int8._with_exact_zero(low, high)
    step = (moved[1] - moved[0]) / 255
    assert moved[0] / step == pytest.approx(round(moved[0] / step))
    assert np.abs(np.subtract(moved, (low, high))).max() <= step


def test_the_default_model_is_calibrated_and_nearly_the_same_in_both_arithmetics():
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (8, 4, 3), np.uint8).repeat(20, 0).repeat(20, 1) for _ in range(4)]
    exact, rounded = (Embedder(SHIPPED_WEIGHTS, 1, one).embed(crops).embedding for one in ("exact", "int8"))
    assert 0.99 < (exact * rounded).sum(1).min() < 0.99999
