import copy
from dataclasses import replace

import numpy as np
import openvino
import openvino.opset13 as ops
import pytest
import torch
from openvino import Core
from torch.nn import functional

from reidpipe.reid import RecipeError, WeightsError
from reidpipe.reid.backbones.openvino import read_graph
from reidpipe.reid.backbones.registry import create_backbone
from reidpipe.reid.embedder import Embedder
from reidpipe.reid.export import export_model
from reidpipe.reid.model.network import ModelSpec, create_model, packed_model, read_model

CHANNELS = (4, 6, 8, 10)  # of the maps of the small network
DIMENSIONS = 5


def write_network(path, extra=None):
    """Four stages, a shared channel gate and a grouped one, a pooling with one weight per cell: every operation."""
    rng = np.random.default_rng(0)

    def constant(*shape, around=0.0):
        return ops.constant((around + rng.normal(0, 0.4, shape)).astype(np.float32))

    def convolved(x, weight, stride=1, pad=1):
        return ops.convolution(x, weight, [stride] * 2, [pad] * 2, [pad] * 2, [1, 1])

    images = ops.parameter([1, 3, 256, 128], np.float32, "images")
    rgb = ops.gather(images, ops.constant(np.array([2, 1, 0])), ops.constant(np.array([1])))
    scale = ops.constant(np.full((1, 3, 1, 1), 0.02, "f4"))
    x = ops.multiply(ops.subtract(rgb, constant(1, 3, 1, 1, around=110)), scale)
    x = ops.mvn(x, ops.constant(np.array([2, 3])), True, 1e-5, "INSIDE_SQRT")
    x = ops.relu(ops.add(convolved(x, constant(4, 3, 7, 7), 2, 3), constant(1, 4, 1, 1)))
    x = ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    x = ops.relu(convolved(x, constant(6, 4, 1, 1), pad=0))
    x = ops.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True)
    x = ops.convolution(x, constant(8, 6, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    depthwise = constant(8, 1, 1, 3, 3)
    x = ops.relu(ops.add(ops.group_convolution(x, depthwise, [1, 1], [1, 1], [1, 1], [1, 1]), constant(1, 8, 1, 1)))
    gate_in, gate_out = constant(2, 8, 1, 1), constant(8, 2, 1, 1)
    streams = []
    for stream in (x, ops.group_convolution(x, depthwise, [1, 1], [1, 1], [1, 1], [1, 1])):
        mean = ops.reduce_mean(stream, ops.constant(np.array([2, 3])), True)
        gate = ops.sigmoid(convolved(ops.relu(convolved(mean, gate_in, pad=0)), gate_out, pad=0))
        streams.append(ops.multiply(stream, gate))
    x = ops.add(*streams)
    mean = ops.reduce_mean(x, ops.constant(np.array([2, 3])), True)
    grouped = ops.reshape(mean, ops.constant(np.array([0, 2, -1])), True)
    groups = ops.mvn(grouped, ops.constant(np.array([2])), True, 1e-5, "INSIDE_SQRT")
    x = ops.multiply(x, ops.sigmoid(ops.reshape(groups, ops.shape_of(mean), True)))
    x = ops.concat([x, x], 1)
    x = ops.relu(convolved(ops.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True), constant(10, 16, 1, 1), pad=0))
    if extra is not None:
        x = extra(x)
    x = ops.group_convolution(x, constant(10, 1, 1, 16, 8), [1, 1], [0, 0], [0, 0], [1, 1])
    x = ops.matmul(ops.reshape(x, ops.constant(np.array([0, -1])), True), constant(DIMENSIONS, 10), False, True)
    grouped = ops.reshape(ops.add(x, constant(1, DIMENSIONS)), ops.constant(np.array([0, 5, 1])), True)
    x = ops.prelu(grouped, constant(5))
    flat = ops.reshape(x, ops.constant(np.array([0, -1])), True)
    openvino.save_model(openvino.Model([flat], [images], "small"), path, compress_to_fp16=False)
    return path


def computed_by_openvino(path, images):
    """The outputs of OpenVINO in float32 for uint8 (N, 256, 128, 3) BGR: float32 (N, T)."""
    network = Core().read_model(path)
    network.reshape([1, 3, 256, 128])
    compiled = Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    return np.concatenate([compiled(one.transpose(2, 0, 1)[None].astype(np.float32))[0].copy() for one in images])


def as_rgb(images):
    return torch.from_numpy(images[..., ::-1].copy()).permute(0, 3, 1, 2).float()


@pytest.fixture
def images():
    coarse = np.random.default_rng(1).integers(0, 256, (3, 32, 16, 3), np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


def test_every_operation_computes_what_openvino_computes(tmp_path, images):
    path = write_network(tmp_path / "small.xml")
    backbone = create_backbone("openvino", pretrained=path).eval()
    expected = computed_by_openvino(path, images)
    with torch.inference_mode():
        output = backbone(as_rgb(images))
    assert expected.std() > 0.01
    np.testing.assert_allclose(output.feature.numpy(), expected, atol=1e-3 * np.abs(expected).max())
    assert [tuple(one.shape[1:]) for one in output.maps] == [
        (4, 128, 64),
        (6, 64, 32),
        (16, 32, 16),
        (10, 16, 8),
    ]
    assert backbone.map_channels == (4, 6, 16, 10)
    assert backbone.dimensions == DIMENSIONS


@pytest.mark.parametrize("name", ["0277", "0286", "0287", "0288"])
def test_the_networks_of_the_open_model_zoo_compute_what_openvino_computes(kit, images, name):
    path = kit / "weights" / f"person-reidentification-retail-{name}.xml"
    backbone = create_backbone("openvino", pretrained=path).eval()
    with torch.inference_mode():
        feature = backbone(as_rgb(images)).feature
    cosine = functional.cosine_similarity(feature, torch.from_numpy(computed_by_openvino(path, images)))
    assert cosine.min() > 0.9999
    assert feature.shape == (3, 256)


def test_a_constant_that_is_stored_once_is_one_trainable_parameter(tmp_path, images):
    backbone = create_backbone("openvino", pretrained=write_network(tmp_path / "small.xml"))
    uses = [constant for step in backbone.steps for constant in step["constants"]]
    shared = {constant for constant in uses if uses.count(constant) > 1}
    assert len(shared) == 3  # both convolutions of the gate, and the depthwise one
    backbone(as_rgb(images)).feature.square().sum().backward()
    assert all(one.grad is not None for one in backbone.parameters())
    assert all(backbone.constants[one].grad.abs().max() > 0 for one in shared)


def test_equal_weights_keep_the_feature_and_others_change_it(tmp_path, images):
    backbone = create_backbone("openvino", pretrained=write_network(tmp_path / "small.xml")).eval()
    equal = torch.full((3, 16, 8), 1 / 128)
    upper = torch.cat([torch.full((3, 8, 8), 1 / 64), torch.zeros(3, 8, 8)], 1)
    with torch.inference_mode():
        output = backbone(as_rgb(images))
        torch.testing.assert_close(backbone.pool(output.maps[-1], equal), output.feature)
        assert not torch.allclose(backbone.pool(output.maps[-1], upper), output.feature, atol=1e-2)


def test_a_checkpoint_is_read_and_exported_without_the_xml(tmp_path, images):
    path = write_network(tmp_path / "small.xml")
    spec = ModelSpec(backbone="openvino", mask="none", evidence=True, graph=read_graph(path)[0])
    model = create_model(spec, str(path)).eval()
    torch.save(packed_model(spec, copy.deepcopy(model.state_dict())), tmp_path / "best.pt")
    for file in (path, path.with_suffix(".bin")):
        file.unlink()
    again = read_model(tmp_path / "best.pt")
    with torch.inference_mode():
        expected = model(model.normalise(torch.from_numpy(images)))
        found = again(again.normalise(torch.from_numpy(images)))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    export_model(again, tmp_path / "small.onnx")
    embedder = Embedder(tmp_path / "small.onnx", threads=1, arithmetic="exact")
    np.testing.assert_allclose(embedder.embed(list(images)).embedding, expected[0].numpy(), atol=1e-3)
    assert embedder.evidence(list(images)).shape == (3, 16, 8)


def test_a_network_can_compute_at_a_smaller_size(tmp_path, images):
    path = write_network(tmp_path / "small.xml")
    whole, small = (create_backbone("openvino", pretrained=path, height_px=height).eval() for height in (None, 160))
    with torch.inference_mode():
        expected, found = whole(as_rgb(images)), small(as_rgb(images))
    assert [tuple(one.shape[1:]) for one in found.maps] == [(4, 80, 40), (6, 32, 16), (16, 16, 8), (10, 16, 8)]
    assert found.feature.shape == expected.feature.shape
    cosine = functional.cosine_similarity(found.feature, expected.feature)
    assert cosine.min() > 0.7  # random weights; the convolutions see other scales


def test_a_network_at_a_smaller_size_is_read_and_exported_without_the_xml(tmp_path, images):
    path = write_network(tmp_path / "small.xml")
    spec = ModelSpec(backbone="openvino", mask="none", evidence=True)
    model = create_model(spec, str(path), 160).eval()
    spec = replace(spec, graph=model.backbone.graph)
    torch.save(packed_model(spec, model.state_dict()), tmp_path / "best.pt")
    path.unlink()
    again = read_model(tmp_path / "best.pt")
    with torch.inference_mode():
        expected = model(model.normalise(torch.from_numpy(images)))
        found = again(again.normalise(torch.from_numpy(images)))
    assert again.backbone.scale == 160 / 256
    torch.testing.assert_close(found[0], expected[0])
    export_model(again, tmp_path / "small.onnx")
    embedder = Embedder(tmp_path / "small.onnx", threads=1, arithmetic="exact")
    np.testing.assert_allclose(embedder.embed(list(images)).embedding, expected[0].numpy(), atol=1e-3)
    assert embedder.evidence(list(images)).shape == (3, 16, 8)


def test_networks_that_cannot_be_trained_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"other.xml: expected only supported operations .*, got Tanh"):
        create_backbone("openvino", pretrained=write_network(tmp_path / "other.xml", ops.tanh))
    with pytest.raises(WeightsError, match=r"missing.xml: no such file"):
        create_backbone("openvino", pretrained=tmp_path / "missing.xml")
    with pytest.raises(WeightsError, match=r"expected the .xml of a network as pretrained, got none"):
        create_backbone("openvino")
    (tmp_path / "broken.xml").write_text("<net")
    (tmp_path / "broken.bin").touch()
    with pytest.raises(WeightsError, match=r"broken.xml: not a readable OpenVINO network"):
        create_backbone("openvino", pretrained=tmp_path / "broken.xml")
    with pytest.raises(RecipeError, match="cameras: expected 0"):
        create_backbone("openvino", pretrained=tmp_path / "missing.xml", cameras=2)
