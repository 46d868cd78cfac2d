import copy
import sys

import pytest
import torch
from torch import nn

from reidpipe.reid.backbones.large.clip_model import load_clip, resize_positions
from reidpipe.reid.errors import WeightsError

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": [32, 16], "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": TEXT,
}
RESNET = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
    "text_cfg": TEXT,
}

pytest.importorskip("open_clip", reason="needs the extra `train`")


def tiny(config=VIT, weights=None, seed=0):
    torch.manual_seed(seed)
    return load_clip("tiny", weights, model_config=config)


@pytest.mark.parametrize(
    ("config", "size"), [pytest.param(VIT, (32, 16), id="ViT"), pytest.param(RESNET, (64, 64), id="ResNet")]
)
def test_both_towers_embed_into_the_same_space(config, size):
    clip, tokenizer = tiny(config)
    with torch.no_grad():
        assert clip.encode_image(torch.zeros(3, 3, *size)).shape == (3, 16)
        assert clip.encode_text(tokenizer(["a photo", "a person"])).shape == (2, 16)
    assert not clip.visual.training


def test_the_given_configuration_is_not_changed():
    before = copy.deepcopy(VIT)
    tiny()
    assert before == VIT


@pytest.mark.parametrize(
    ("suffix", "wrap"),
    [
        pytest.param(".pt", lambda state: state, id="state dict"),
        pytest.param(".pt", lambda state: {"epoch": 3, "state_dict": state}, id="open_clip's training checkpoint"),
        pytest.param(
            ".pt", lambda state: {f"module.{name}": value for name, value in state.items()}, id="DataParallel"
        ),
        pytest.param(".pt", lambda state: {**state, "logit_scale": state["logit_scale"][None]}, id="scale as a vector"),
        pytest.param(".safetensors", lambda state: state, id="safetensors"),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_weights_are_read_from_a_file(tmp_path, suffix, wrap, as_text):
    clip, tokenizer = tiny()
    path = tmp_path / f"clip{suffix}"
    if suffix == ".pt":
        torch.save(wrap(clip.state_dict()), path)
    else:
        from safetensors.torch import save_file

        save_file({name: value.contiguous() for name, value in clip.state_dict().items()}, path)
    again, _ = tiny(weights=str(path) if as_text else path, seed=1)
    images, words = torch.randn(2, 3, 32, 16), tokenizer(["a photo"])
    with torch.no_grad():
        assert torch.equal(clip.encode_image(images), again.encode_image(images))
        assert torch.equal(clip.encode_text(words), again.encode_text(words))


@pytest.mark.parametrize(
    ("name", "weights", "config", "message"),
    [
        pytest.param(
            "ViT-B16", None, None, r"CLIP ViT-B16: open_clip knows no such model, did you mean ViT-B-16\?", id="name"
        ),
        pytest.param("vit-b-16", None, None, r"did you mean ViT-B-16\?", id="name in lower case"),
        pytest.param(
            "RN50", "openia", None, r"openia is neither a file nor a published tag, did you mean openai\?", id="tag"
        ),
        pytest.param("ViT-B-16-SigLIP", None, None, "text tower takes no learned tokens", id="another text tower"),
        pytest.param("tiny", "nowhere.pt", VIT, r"nowhere\.pt: no such weights file", id="no file"),
        pytest.param("RN50", "folder/openai", None, "folder/openai: no such weights file", id="no file at a path"),
        pytest.param(
            "tiny", None, {"embed_dim": 4}, "expected the keys embed_dim, vision_cfg and text_cfg", id="key lacking"
        ),
        pytest.param("tiny", None, {**VIT, "depth": 4}, "cannot build this model_config: .*depth", id="unknown key"),
        pytest.param(
            "tiny",
            None,
            {**VIT, "text_cfg": {**TEXT, "no_causal_mask": True}},
            "no learned tokens",
            id="bidirectional text tower",
        ),
    ],
)
def test_unavailable_models_and_weights_are_one_clear_line(name, weights, config, message):
    with pytest.raises(WeightsError, match=message) as caught:
        load_clip(name, weights, model_config=config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        pytest.param(b"not a PyTorch file", ".pt", "not a readable PyTorch file", id="not PyTorch"),
        pytest.param(b"half a file", ".pt", "not a readable PyTorch file", id="bytes that happen to be a pickle's"),
        pytest.param(b"", ".pt", "not a readable PyTorch file", id="empty file"),
        pytest.param(b"\x01\x02", ".safetensors", "not a readable safetensors file", id="not safetensors"),
        pytest.param([1, 2], ".pt", "expected a dict of weights, got list", id="a list"),
        pytest.param({}, ".pt", "expected a dict of weights", id="an empty dict"),
        pytest.param({"epoch": 3}, ".pt", "expected a dict of weights", id="no weights in it"),
        pytest.param({"conv": torch.zeros(1)}, ".pt", "not weights of CLIP tiny: ", id="another network"),
    ],
)
def test_an_unusable_file_is_reported_with_its_path(tmp_path, content, suffix, message):
    path = tmp_path / f"wrong{suffix}"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(WeightsError, match=message) as caught:
        tiny(weights=path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_size_are_refused(tmp_path):
    clip, _ = tiny({**VIT, "embed_dim": 8})
    torch.save(clip.state_dict(), tmp_path / "small.pt")
    with pytest.raises(WeightsError, match=r"small\.pt: not weights of CLIP tiny: size mismatch"):
        tiny(weights=tmp_path / "small.pt")


def test_a_torchscript_archive_is_reported_as_one(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "RN50.pt")
    with pytest.raises(WeightsError, match=r"RN50\.pt: .*TorchScript archive: save its state_dict\(\) instead"):
        load_clip("RN50", tmp_path / "RN50.pt")


def test_no_code_of_a_file_is_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"weight": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(WeightsError, match="not a readable PyTorch file"):
        tiny(weights=tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_a_missing_open_clip_is_reported_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(WeightsError, match=r"pip install 'reidpipe\[train\]'"):
        load_clip("ViT-B-16", None)


def test_a_failing_download_is_one_clear_line(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="CLIP RN50: openai could not be downloaded") as caught:
        load_clip("RN50", "openai")
    assert "\n" not in str(caught.value)


def test_a_tag_brings_its_own_activation_function(monkeypatch, tmp_path):
    """OpenAI's weights were trained with x·sigmoid(1.702 x); the plain name means the exact GELU."""
    import open_clip

    published = dict(open_clip.get_pretrained_cfg("ViT-B-16", "openai"))
    config = {**VIT, "quick_gelu": True}
    torch.save(tiny(config)[0].state_dict(), tmp_path / "published.pt")
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: copy.deepcopy(VIT))
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda name, tag: published)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda published: str(tmp_path / "published.pt"))
    images = torch.randn(2, 3, 32, 16)
    with torch.no_grad():
        seen = load_clip("ViT-B-16", "openai")[0].encode_image(images)
        assert torch.equal(seen, tiny(config)[0].encode_image(images))
        assert not torch.allclose(seen, tiny(VIT)[0].encode_image(images))


@pytest.mark.parametrize(
    ("config", "size"), [pytest.param(VIT, (64, 32), id="ViT"), pytest.param(RESNET, (96, 32), id="ResNet")]
)
def test_a_resized_image_tower_takes_another_size(config, size):
    clip, _ = tiny(config)
    resize_positions(clip.visual, size)
    with torch.no_grad():
        assert clip.encode_image(torch.zeros(2, 3, *size)).shape == (2, 16)
    assert clip.visual.image_size == size


def test_resizing_to_the_native_size_changes_nothing_and_a_constant_embedding_stays_constant():
    clip, _ = tiny()
    before = clip.visual.positional_embedding.detach().clone()
    resize_positions(clip.visual, (32, 16))
    assert torch.equal(clip.visual.positional_embedding, before)
    with torch.no_grad():
        clip.visual.positional_embedding[1:] = before[1]
    resize_positions(clip.visual, (64, 48))
    assert clip.visual.positional_embedding.shape == (1 + 8 * 6, 32)
    torch.testing.assert_close(clip.visual.positional_embedding[1:].detach(), before[1].expand(48, 32))
    assert torch.equal(clip.visual.positional_embedding[0], before[0])


def test_rows_of_the_embedding_stay_rows():
    clip, _ = tiny()
    rows = torch.arange(4.0).repeat_interleave(2)  # (8,), 4 rows of 2 columns
    with torch.no_grad():
        clip.visual.positional_embedding[1:] = rows[:, None]
    resize_positions(clip.visual, (32, 32))
    seen = clip.visual.positional_embedding[1:, 0].detach().view(4, 4)
    torch.testing.assert_close(seen, torch.arange(4.0)[:, None].expand(4, 4))


def test_a_size_that_is_no_multiple_and_a_tower_without_positions_are_refused():
    with pytest.raises(WeightsError, match=r"image_hw: expected multiples of \(8, 8\), got \(60, 32\)"):
        resize_positions(tiny()[0].visual, (60, 32))
    with pytest.raises(WeightsError, match="image_hw: Linear has no position embedding"):
        resize_positions(nn.Linear(1, 1), (64, 32))
