import numpy as np
import pytest
import torch

from reidpipe.reid import WeightsError
from reidpipe.reid.backbones.osnet import OSNet
from reidpipe.reid.model.mask_generators import MaskGenerator
from reidpipe.reid.model.network import ModelSpec, create_model, load_weights, normalise

PARAMETER_LIMIT = 600_000


def random_images(n=2, seed=0):
    return torch.randint(0, 256, (n, 256, 128, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("width", [0.25, 0.5])
def test_osnet_gives_four_maps_and_a_feature(width):
    net = OSNet(width).eval()
    with torch.inference_mode():
        maps, feature, _ = net(torch.zeros(2, 3, 256, 128))
    assert [tuple(one.shape[2:]) for one in maps] == [(32, 16), (16, 8), (16, 8), (16, 8)]
    assert tuple(one.shape[1] for one in maps) == net.map_channels
    assert feature.shape == (2, 512)


def test_osnet_equals_the_published_network(kit):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = create_model(ModelSpec(width=0.25))
    load_weights(model, kit / "weights" / "osnet_x0_25_msmt17.pth")
    images = normalise(random_images(3))
    with torch.inference_mode():
        ours = model.backbone.eval()(images).feature.numpy()
    session = onnxruntime.InferenceSession(str(kit / "weights" / "osnet_x0_25_msmt17.onnx"))
    (theirs,) = session.run(None, {"images": images.numpy()})
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"garbage", "not a readable PyTorch file", id="not a PyTorch file"),
        pytest.param(None, "no such weights file", id="missing"),
    ],
)
def test_unreadable_weights_are_reported_with_their_path(tmp_path, content, message):
    path = tmp_path / "net.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"net.pth: {message}"):
        load_weights(create_model(ModelSpec(width=0.25)), path)


def test_weights_of_another_width_are_refused_in_one_line(tmp_path):
    torch.save(OSNet(0.5).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(WeightsError, match=r"wide.pth: not weights of this width") as caught:
        load_weights(create_model(ModelSpec(width=0.25)), tmp_path / "wide.pth")
    assert "\n" not in str(caught.value)


def test_weights_load_with_a_classifier_and_a_prefix(tmp_path):
    source, target = OSNet(0.25), create_model(ModelSpec(width=0.25))
    state = {f"module.{name}": value for name, value in source.state_dict().items()}
    torch.save({"state_dict": {**state, "module.classifier.weight": torch.zeros(3, 512)}}, tmp_path / "net.pth")
    load_weights(target, tmp_path / "net.pth")
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.backbone.parameters(), strict=True))


def test_every_mask_starts_at_exactly_one_half():
    model = create_model(ModelSpec(width=0.25)).eval()
    with torch.inference_mode():
        embedding, mask = model(normalise(random_images(3)))
    assert mask.shape == embedding.shape == (3, 512)
    assert (mask == 0.5).all()
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))


def test_the_mask_generator_is_small():
    generator = MaskGenerator(OSNet(0.25).map_channels, 512)
    assert sum(parameter.numel() for parameter in generator.parameters()) <= PARAMETER_LIMIT


def test_the_mask_has_no_gradient_to_the_backbone():
    model = create_model(ModelSpec(width=0.25))
    model.mask(model.features(normalise(random_images())).maps).sum().backward()
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    assert any(parameter.grad is not None for parameter in model.mask.parameters())


def test_normalise_turns_bgr_into_normalised_rgb():
    pixel = torch.tensor([0, 128, 255], dtype=torch.uint8).expand(1, 256, 128, 3)  # blue, green, red
    expected = (torch.tensor([1.0, 128 / 255, 0]) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(normalise(pixel)[0, :, 10, 20], expected)
