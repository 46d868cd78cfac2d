import sys

import pytest
import torch

from reidpipe.reid.backbones.osnet import OSNet
from reidpipe.reid.backbones.registry import NAMES, create_backbone
from reidpipe.reid.errors import RecipeError, WeightsError

NEEDS = {"resnet50": "timm", "vit-b16": "timm", "clip-vit-b16": "open_clip", "clip-rn50": "open_clip"}
CNN_SIZES = [(64, 32), (32, 16), (16, 8), (16, 8)]
OSNET_SIZES = [(32, 16), (16, 8), (16, 8), (16, 8)]
VIT_SIZES = [(16, 8)] * 4


def small_images(n=2, seed=0):
    return torch.randn(n, 3, 64, 32, generator=torch.Generator().manual_seed(seed))


def save(path, state):
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("name", "width", "channels", "sizes", "dimensions", "heads"),
    [
        pytest.param("osnet", 0.75, (192, 288, 384, 384), OSNET_SIZES, 512, None, id="OSNet x0.75"),
        pytest.param("osnet", 1.0, (256, 384, 512, 512), OSNET_SIZES, 512, None, id="OSNet x1.0"),
        pytest.param("osnet", 0.4, (102, 153, 204, 204), OSNET_SIZES, 512, None, id="OSNet between two widths"),
        pytest.param("plain-conv", 1.0, (32, 64, 128, 256), CNN_SIZES, 512, None, id="plain convolutions"),
        pytest.param("resnet50", 1.0, (256, 512, 1024, 2048), CNN_SIZES, 2048, None, id="ResNet-50"),
        pytest.param("vit-b16", 1.0, (768,) * 4, VIT_SIZES, 768, (12, 128), id="ViT-B/16"),
        pytest.param("clip-vit-b16", 1.0, (768,) * 4, VIT_SIZES, 768, (12, 128), id="CLIP ViT-B/16"),
        pytest.param("clip-rn50", 1.0, (256, 512, 1024, 2048), CNN_SIZES, 2048, None, id="CLIP RN50"),
    ],
)
def test_every_backbone_returns_the_maps_and_the_feature_that_it_declares(
    name, width, channels, sizes, dimensions, heads
):
    pytest.importorskip(NEEDS.get(name, "torch"), reason="needs the extra `train`")
    with torch.device("meta"):  # shapes without arithmetic
        backbone = create_backbone(name, width=width, cameras=3)
        output = backbone(torch.zeros(2, 3, 256, 128), torch.tensor([0, 2]))
    assert backbone.map_channels == channels
    shapes = [(2, depth, *size) for depth, size in zip(channels, sizes, strict=True)]
    assert [tuple(one.shape) for one in output.maps] == shapes
    assert output.feature.shape == (2, backbone.dimensions) == (2, dimensions)
    assert (None if output.heads is None else tuple(output.heads.shape[1:])) == heads
    assert backbone.training


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(RecipeError, match=f"expected one of {', '.join(NAMES)}, got resnet"):
        create_backbone("resnet")
    assert len(NAMES) == 7


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        pytest.param("osnet", {"width": 0.1}, "osnet: width: expected a number from 0.25 to 1", id="too narrow"),
        pytest.param("plain-conv", {"width": 2}, "plain-conv: width: expected", id="too wide"),
        pytest.param("resnet50", {"width": 0.5}, "resnet50: width: expected 1", id="one width only"),
        pytest.param("osnet", {"cameras": -1}, "cameras: expected 0 or more, got -1", id="negative cameras"),
        pytest.param("osnet", {"height_px": 160}, "osnet: height_px: expected null", id="one size only"),
    ],
)
def test_impossible_options_are_refused(name, options, message):
    with pytest.raises(RecipeError, match=message):
        create_backbone(name, **options)


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda state: state, id="bare"),
        pytest.param(
            lambda state: {
                "state_dict": {f"module.{name}": value for name, value in state.items()}
                | {"module.classifier.weight": torch.zeros(3, 512)},
                "epoch": 60,
            },
            id="torchreid's checkpoint from DataParallel, with a classifier",
        ),
        pytest.param(
            lambda state: {
                "model": {f"backbone.{name}": value for name, value in state.items()}
                | {"neck.weight": torch.zeros(512), "backbone.camera.weight": torch.zeros(9, 16)},
                "step": 7,
            },
            id="a checkpoint of this program, of other cameras",
        ),
        pytest.param(
            lambda state: {name: value for name, value in state.items() if "num_batches" not in name}, id="no counters"
        ),
    ],
)
def test_pretrained_weights_are_found_in_every_kind_of_checkpoint(tmp_path, wrap):
    source = OSNet(0.25).state_dict()
    weights = save(tmp_path / "net.pth", wrap(source))
    loaded = create_backbone("osnet", width=0.25, pretrained=weights, cameras=2).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in source.items())
    assert loaded["camera.weight"].shape == (2, 16)
    assert loaded["camera.weight"].any()


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("width", "change", "message"),
    [
        pytest.param(
            0.5,
            lambda state: state,
            r"conv1.conv.weight: expected \(16, 3, 7, 7\), got \(32, 3, 7, 7\)",
            id="other width",
        ),
        pytest.param(
            0.25, without("conv2.0.gate.fc1.weight"), "no conv2.0.gate.fc1.weight in it", id="a missing parameter"
        ),
        pytest.param(
            0.25,
            lambda state: state | {"conv6.weight": torch.zeros(1)},
            "unknown conv6.weight in it",
            id="an unknown parameter",
        ),
    ],
)
def test_weights_of_another_architecture_are_reported_with_the_file_and_the_first_mismatch(
    tmp_path, width, change, message
):
    weights = save(tmp_path / "other.pth", change(OSNet(width).state_dict()))
    with pytest.raises(WeightsError, match=f"other.pth: weights of another architecture: {message}") as caught:
        create_backbone("osnet", width=0.25, pretrained=str(weights))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "no such weights file", id="missing"),
        pytest.param(b"garbage", "not a readable PyTorch file", id="not a PyTorch file"),
    ],
)
def test_unreadable_pretrained_files_are_reported_with_their_path(tmp_path, content, message):
    path = tmp_path / "net.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"net.pth: {message}"):
        create_backbone("plain-conv", width=0.25, pretrained=path)


@pytest.mark.parametrize("name", ["osnet", "plain-conv"])
def test_the_camera_embedding_is_added_only_where_camera_ids_are_given(name):
    torch.manual_seed(0)
    backbone = create_backbone(name, width=0.25, cameras=2).eval()
    image = small_images(1).expand(2, -1, -1, -1)
    with torch.inference_mode():
        with_cameras = backbone(image, torch.tensor([0, 1])).feature
        without_cameras = backbone(image).feature
        backbone.camera = None
        plain = backbone(image, torch.tensor([0, 1])).feature
    assert (with_cameras[0] - with_cameras[1]).abs().max() > 1e-5
    assert (with_cameras - without_cameras).abs().amax(1).gt(1e-5).all()
    assert torch.equal(without_cameras, plain)


def test_a_camera_embedding_learns_from_its_own_cameras_only():
    backbone = create_backbone("plain-conv", width=0.25, cameras=3)
    backbone(small_images(3), torch.tensor([0, 2, 2])).maps[3].square().sum().backward()
    assert backbone.camera.weight.grad.any(1).tolist() == [True, False, True]


def test_a_backbone_without_a_fused_form_returns_itself():
    backbone = create_backbone("osnet", width=0.25)
    assert backbone.fused() is backbone


@pytest.mark.parametrize(("name", "library"), NEEDS.items())
def test_a_missing_library_is_reported_with_what_to_install(monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(WeightsError, match=rf"{library}, which is not installed: pip install 'reidpipe\[train\]'"):
        create_backbone(name)
