import warnings

import pytest
import torch

from reidpipe.reid.backbones.large.clip_model import load_clip
from reidpipe.reid.backbones.large.clip_towers import ClipVit
from reidpipe.reid.backbones.large.timm_models import TimmVit
from reidpipe.reid.backbones.large.vit import VitBackbone


def of_timm():
    timm = pytest.importorskip("timm", reason="needs the extra `train`")
    tiny = {"patch_size": 8, "embed_dim": 32, "num_heads": 4, "num_classes": 0, "img_size": (64, 32)}
    return TimmVit(timm.create_model("vit_base_patch16_224", **tiny))


def of_clip():
    pytest.importorskip("open_clip", reason="needs the extra `train`")
    vision = {"image_size": 32, "layers": 12, "width": 32, "patch_size": 8, "head_width": 8}
    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text, "quick_gelu": True}
    return ClipVit(load_clip("tiny", None, model_config=config)[0].visual, (64, 32))


class FeatureAndLastMap(torch.nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, images):
        output = self.backbone(images)
        return output.feature, output.maps[3]


@pytest.mark.parametrize("create", [of_timm, of_clip])
def test_a_traced_transformer_takes_any_batch_size(create):
    torch.manual_seed(0)
    network = FeatureAndLastMap(create().eval())
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter(
            "ignore"
        )  # the ONNX export traces, too; its warnings concern values that are constant on purpose
        traced = torch.jit.trace(network, torch.zeros(2, 3, 64, 32), check_trace=False)
    images = torch.randn(5, 3, 64, 32)
    with torch.inference_mode():
        for ours, expected in zip(traced(images), network(images), strict=True):
            torch.testing.assert_close(ours, expected)


def test_a_transformer_without_all_parts_cannot_be_created():
    class Unfinished(VitBackbone):
        def patches(self, images):
            return images

    with pytest.raises(TypeError, match=r"attention.*blocks.*class_token.*enter.*leave.*positions"):
        Unfinished(torch.nn.Identity(), (16, 8), 32, 0)
