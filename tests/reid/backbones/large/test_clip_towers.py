import pytest
import torch

from reidpipe.reid.backbones.large import clip_towers
from reidpipe.reid.backbones.large.clip_model import CLIP_MEAN_RGB, CLIP_STD_RGB, load_clip
from reidpipe.reid.backbones.large.clip_towers import ClipResNet, ClipVit
from reidpipe.reid.backbones.registry import create_backbone

open_clip = pytest.importorskip("open_clip", reason="needs the extra `train`")
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 12, "width": 32, "patch_size": 8, "head_width": 8},
    "text_cfg": TEXT,
    "quick_gelu": True,
}
RESNET = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
    "text_cfg": TEXT,
}


def images(height=64, width=32, n=2):
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(0))


def tiny(config):
    torch.manual_seed(0)
    return load_clip("tiny", None, model_config=config)[0]


def test_the_vit_computes_what_clip_computes():
    clip = tiny(VIT)
    with torch.inference_mode():
        expected = clip.encode_image(images(32, 32))
        blocks = clip.visual.forward_intermediates(images(32, 32), indices=[1, 3, 9, 11], intermediates_only=True)
        backbone = ClipVit(clip.visual, (32, 32)).eval()
        output = backbone(images(32, 32))
        torch.testing.assert_close(output.feature @ clip.visual.proj, expected)
    for ours, theirs in zip(output.maps, blocks["image_intermediates"], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_vit_takes_upright_crops():
    backbone = ClipVit(tiny(VIT).visual, (64, 32))
    output = backbone(images())
    assert [tuple(one.shape) for one in output.maps] == [(2, 32, 8, 4)] * 4
    assert output.feature.shape == (2, backbone.dimensions) == (2, 32)
    assert backbone.training


def test_heads_are_the_class_tokens_attention_before_the_softmax():
    backbone = ClipVit(tiny(VIT).visual, (64, 32)).eval()
    last = backbone.network.transformer.resblocks[-1]
    entered = []
    last.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    with torch.inference_mode():
        heads = backbone(images()).heads
        normed = last.ln_1(entered[0])
        _, attention = last.attn(normed, normed, normed, need_weights=True, average_attn_weights=False)
    row = attention[:, :, 0, 1:]  # (N, h, P)
    assert heads.shape == (2, 4, 32)
    torch.testing.assert_close(heads.softmax(2), row / row.sum(2, keepdim=True))


def test_the_two_halves_of_the_vit_equal_the_whole_pass():
    torch.manual_seed(1)
    backbone = ClipVit(tiny(VIT).visual, (64, 32), cameras=3).eval()
    camids = torch.tensor([0, 2])
    with torch.inference_mode():
        whole = backbone(images(), camids).feature
        halves = backbone.from_tokens(backbone.tokens(images(), camids), camids).feature
        no_camera = backbone(images()).feature
    torch.testing.assert_close(halves, whole)
    assert (no_camera - whole).abs().amax(1).gt(1e-3).all()


def test_the_resnets_last_stage_keeps_its_resolution_and_the_others_compute_the_same():
    clip = tiny(RESNET)
    with torch.inference_mode():
        published = clip.visual.forward_intermediates(images(), intermediates_only=True)["image_intermediates"]
        backbone = ClipResNet(clip.visual, (64, 32)).eval()
        output = backbone(images())
    for ours, theirs in zip(output.maps[:3], published[1:4], strict=True):
        torch.testing.assert_close(ours, theirs)
    assert output.maps[3].shape == (2, 256, 4, 2)
    torch.testing.assert_close(output.feature, output.maps[3].mean((2, 3)))


def test_a_camera_embedding_reaches_every_map_of_the_resnet():
    backbone = ClipResNet(tiny(RESNET).visual, (64, 32), cameras=2).eval()
    with torch.inference_mode():
        output = backbone(images(n=1).expand(2, -1, -1, -1), torch.tensor([0, 1]))
    assert all((one[0] - one[1]).abs().max() > 1e-4 for one in output.maps)


@pytest.mark.parametrize(
    ("name", "architecture", "config"),
    [
        pytest.param("clip-vit-b16", "ViT-B-16", VIT, id="ViT"),
        pytest.param("clip-rn50", "RN50", RESNET, id="ResNet"),
    ],
)
def test_the_tag_is_passed_on_and_the_normalisation_is_clips(monkeypatch, name, architecture, config):
    requested = []

    def load(*arguments):
        requested.append(arguments)
        return tiny(config), None

    monkeypatch.setattr(clip_towers, "load_clip", load)
    backbone = create_backbone(name, pretrained="openai", cameras=2)
    assert requested == [(f"{architecture}-quickgelu", "openai")]
    assert (backbone.mean_rgb, backbone.std_rgb) == (CLIP_MEAN_RGB, CLIP_STD_RGB)
    assert backbone.camera.num_embeddings == 2


@pytest.mark.parametrize("architecture", [clip_towers.VIT_NAME, clip_towers.RESNET_NAME])
def test_every_published_tag_was_trained_with_the_activation_of_its_architecture(architecture):
    assert open_clip.get_model_config(architecture)["quick_gelu"]
    for tag in open_clip.list_pretrained_tags_by_model(architecture):
        assert open_clip.get_pretrained_cfg(architecture, tag)["quick_gelu"]
