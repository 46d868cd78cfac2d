import copy

import pytest
import torch

from reidpipe.reid.backbones.large.timm_models import ResNetBackbone, TimmVit
from reidpipe.reid.backbones.registry import create_backbone
from reidpipe.reid.errors import WeightsError

timm = pytest.importorskip("timm", reason="needs the extra `train`")
VIT = {"patch_size": 8, "embed_dim": 32, "num_heads": 4, "num_classes": 0}  # twelve narrow blocks


def images(n=2, height=64, width=32, seed=0):
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def tiny_vit(cameras=0, image_hw=(64, 32)):
    torch.manual_seed(0)
    network = timm.create_model("vit_base_patch16_224", img_size=image_hw, **VIT)
    torch.nn.init.normal_(network.pos_embed)
    return TimmVit(network, cameras).eval()


@pytest.fixture(scope="module")
def small_resnet():
    torch.manual_seed(0)
    return timm.create_model("resnet50", layers=(1, 1, 1, 2), num_classes=0).eval()


def test_the_last_stage_keeps_its_resolution_and_the_others_compute_the_same(small_resnet):
    backbone = ResNetBackbone(copy.deepcopy(small_resnet)).eval()
    with torch.inference_mode():
        output = backbone(images())
        _, *published = small_resnet.forward_intermediates(images(), intermediates_only=True)
    for ours, theirs in zip(output.maps[:3], published[:3], strict=True):
        torch.testing.assert_close(ours, theirs)
    assert output.maps[3].shape == (2, 2048, 4, 2)
    assert published[3].shape == (2, 2048, 2, 1)
    torch.testing.assert_close(output.feature, output.maps[3].mean((2, 3)))


def test_the_last_stage_is_not_dilated(small_resnet):
    stage = ResNetBackbone(copy.deepcopy(small_resnet)).network.layer4
    convolutions = [module for module in stage.modules() if isinstance(module, torch.nn.Conv2d)]
    assert {(one.stride, one.dilation) for one in convolutions} == {((1, 1), (1, 1))}


def test_a_camera_embedding_reaches_every_map_of_a_resnet(small_resnet):
    torch.manual_seed(0)
    backbone = ResNetBackbone(copy.deepcopy(small_resnet), cameras=2).eval()
    with torch.inference_mode():
        output = backbone(images(1).expand(2, -1, -1, -1), torch.tensor([0, 1]))
    assert all((one[0] - one[1]).abs().max() > 1e-4 for one in output.maps)


def test_the_vit_computes_what_timm_computes_and_its_maps_are_the_blocks_of_dpm():
    vit = tiny_vit()
    with torch.inference_mode():
        output = vit(images())
        whole = vit.network.forward_features(images())
        blocks = vit.network.forward_intermediates(images(), indices=[1, 3, 9, 11], intermediates_only=True)
    torch.testing.assert_close(output.feature, whole[:, 0])
    for ours, theirs in zip(output.maps, blocks, strict=True):
        assert ours.shape == (2, 32, 8, 4)
        torch.testing.assert_close(ours, theirs)


def test_heads_are_the_class_tokens_attention_before_the_softmax():
    vit = tiny_vit()
    last = vit.network.blocks[-1].attn
    last.fused_attn = False  # so that timm computes the probabilities, and its dropout sees them
    seen = []
    last.attn_drop.register_forward_hook(lambda *of: seen.append(of[2]))
    with torch.inference_mode():
        heads = vit(images()).heads
    row = seen[0][:, :, 0, 1:]  # (N, h, P)
    assert heads.shape == (2, 4, 32)
    torch.testing.assert_close(heads.softmax(2), row / row.sum(2, keepdim=True))


def test_the_two_halves_of_a_vit_equal_the_whole_pass():
    vit = tiny_vit(cameras=3)
    camids = torch.tensor([0, 2])
    with torch.inference_mode():
        whole = vit(images(), camids)
        halves = vit.from_tokens(vit.tokens(images(), camids), camids)
        other_camera = vit(images(), torch.tensor([1, 2])).feature
        no_camera = vit(images()).feature
    torch.testing.assert_close(halves.feature, whole.feature)
    assert (other_camera - whole.feature).abs().amax(1).gt(1e-3).tolist() == [True, False]
    assert (no_camera - whole.feature).abs().amax(1).gt(1e-3).all()


def test_exchanging_patches_equals_exchanging_pixels():
    vit = tiny_vit()
    anchor, donor = images(2)
    moved = donor.clone()
    moved[:, 16:48] = anchor.roll(8, 2)[:, 16:48]  # rows 2 to 6 of the grid, one patch to the right
    with torch.inference_mode():
        tokens = vit.tokens(images(2)).unflatten(1, vit.grid)  # (2, 8, 4, C)
        exchanged = tokens[1].clone()
        exchanged[2:6] = tokens[0].roll(1, 1)[2:6]
        ours = vit.from_tokens(exchanged.flatten(0, 1)[None]).feature
        expected = vit(moved[None]).feature
    torch.testing.assert_close(ours, expected)


def test_positions_of_square_images_are_interpolated(tmp_path):
    square, upright = tiny_vit(image_hw=(48, 48)), tiny_vit()
    ramp = torch.linspace(0, 1, 6)[:, None, None].expand(6, 6, 32).flatten(0, 1)  # increases from row to row
    with torch.no_grad():
        square.network.pos_embed[0, 1:] = ramp
    state = square.network.state_dict() | {"head.weight": torch.zeros(9, 32), "head.bias": torch.zeros(9)}
    torch.save(state, tmp_path / "vit.pth")
    upright.load(tmp_path / "vit.pth")
    positions = upright.network.pos_embed
    torch.testing.assert_close(positions[0, 0], square.network.pos_embed[0, 0])
    rows = positions[0, 1:].unflatten(0, (8, 4)).mean((1, 2))
    assert rows.diff().gt(0).all()
    torch.testing.assert_close(upright.network.blocks[5].mlp.fc1.weight, square.network.blocks[5].mlp.fc1.weight)


def test_a_vit_file_of_another_architecture_is_refused(tmp_path):
    torch.save({**tiny_vit().network.state_dict(), "patch_embed.proj.bias": torch.zeros(7)}, tmp_path / "vit.pth")
    with pytest.raises(WeightsError, match=r"vit.pth: .*: patch_embed.proj.bias: expected \(32,\), got \(7,\)"):
        tiny_vit().load(tmp_path / "vit.pth")


@pytest.fixture
def hub(monkeypatch):
    """An in-memory hub behind timm's loader: `hub[name]` is a state dict, or the error of its download."""
    stored = {}

    def answer(repository, *_, **__):
        found = stored[repository.removeprefix("timm/")]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", answer)
    return stored


def test_a_published_name_is_loaded_by_timm(hub):
    name = "resnet50.a1_in1k"
    published = timm.create_model("resnet50").state_dict()
    hub[name] = published
    loaded = create_backbone("resnet50", pretrained=name).network.state_dict()
    assert torch.equal(loaded["layer3.2.conv2.weight"], published["layer3.2.conv2.weight"])
    assert "fc.weight" not in loaded


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("resnet50.a1_in1k", "timm could not load it .*: no route to host, line two", id="no connection"),
        pytest.param("resnet50.no_such", "timm could not load it .*no_such", id="no such tag"),
        pytest.param("resnet18.a1_in1k", "expected a file or one of timm's names that begin with resnet50", id="other"),
    ],
)
def test_a_published_name_that_cannot_be_loaded_is_one_clear_error(hub, name, message):
    hub["resnet50.a1_in1k"] = FileNotFoundError("no route to host,\n line two")
    with pytest.raises(WeightsError, match=f"^{name}: {message}") as caught:
        create_backbone("resnet50", pretrained=name)
    assert "\n" not in str(caught.value)


def test_the_vit_is_requested_from_timm_in_the_size_of_a_crop(monkeypatch):
    requested = {}

    def create(name, **options):
        requested.update(options, name=name)
        raise OSError("offline")

    monkeypatch.setattr(timm, "create_model", create)
    with pytest.raises(WeightsError, match="offline"):
        create_backbone("vit-b16", pretrained="vit_base_patch16_224.augreg_in21k")
    assert requested["name"] == "vit_base_patch16_224.augreg_in21k"
    assert requested["pretrained"] is True
    assert requested["img_size"] == (256, 128)
