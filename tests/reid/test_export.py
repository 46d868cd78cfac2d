"""Exported files compute what PyTorch computes, in every precision, and describe themselves."""

import cv2
import numpy as np
import onnx
import pytest
import torch

from reidpipe.reid import DatasetError, Embedder, ExportError, WeightsError, calibration
from reidpipe.reid import export as reid_export
from reidpipe.reid.crops import stack_crops
from reidpipe.reid.engines import int8
from reidpipe.reid.export import PixelModel, export, export_model
from reidpipe.reid.model.network import ModelSpec, create_model, packed_model

SPEC = ModelSpec("plain-conv", width=0.25)


def random_model(seed=0, spec=SPEC):
    torch.manual_seed(seed)
    model = create_model(spec)
    for name, value in model.named_buffers():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    torch.nn.init.normal_(model.mask.out.weight, std=0.1)
    return model.eval()


class WithEvidence(torch.nn.Module):
    """A model with a third output, evidence."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.backbone, self.mask, self.dimensions = model.backbone, model.mask, model.dimensions

    def normalise(self, images):
        return self.model.normalise(images)

    def forward(self, images):
        embedding, mask = self.model(images)
        return embedding, mask, torch.nn.functional.adaptive_avg_pool2d(images[:, :1], (16, 8))[:, 0]


def pictures(n, seed=0):
    """Smooth coloured crops, as noise has no realistic activations to calibrate with."""
    rng = np.random.default_rng(seed)
    return [cv2.resize(rng.integers(0, 256, (8, 4, 3), np.uint8), (64, 128)) for _ in range(n)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("crops")
    for number, picture in enumerate(pictures(10)):
        cv2.imwrite(str(path / f"{number}.png"), picture)
    (path / "notes.txt").write_text("no image")
    return path


def expected_of(model, crops):
    with torch.inference_mode():
        return [one.numpy() for one in PixelModel(model)(torch.from_numpy(stack_crops(crops)))]


@pytest.mark.parametrize(("precision", "cosine", "mask"), [("fp32", 0.999999, 1e-4), ("fp16", 0.999, 0.01)])
def test_every_precision_computes_what_pytorch_computes(tmp_path, precision, cosine, mask):
    model, crops = random_model(), pictures(3, seed=1)
    export_model(model, tmp_path / "model.onnx", precision)
    embedder = Embedder(tmp_path / "model.onnx", threads=1, arithmetic="exact")
    appearance, expected = embedder.embed(crops), expected_of(model, crops)
    assert (appearance.embedding * expected[0]).sum(1).mean() >= cosine
    assert np.abs(appearance.mask - expected[1]).mean() <= mask
    assert embedder.metadata["precision"] == precision
    assert "PyTorch" in embedder.metadata["parity"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_smaller_numbers_make_smaller_files(tmp_path):
    model = random_model()
    for precision in ("fp32", "fp16"):
        export_model(model, tmp_path / precision, precision)
    fp32, fp16 = ((tmp_path / name).stat().st_size for name in ("fp32", "fp16"))
    assert fp16 < 0.6 * fp32
    halves = [one for one in onnx.load(str(tmp_path / "fp16")).graph.initializer if one.data_type == 10]
    assert len(halves) > 10


def test_a_calibrated_file_computes_in_float32_what_pytorch_computes(tmp_path, folder):
    model, crops = random_model(spec=ModelSpec("plain-conv", width=0.5)), pictures(3, seed=1)
    export_model(model, tmp_path / "model.onnx", calibration=folder)
    embedder = Embedder(tmp_path / "model.onnx", threads=1, arithmetic="exact")
    np.testing.assert_allclose(embedder.embed(crops).embedding, expected_of(model, crops)[0], atol=1e-4)
    assert embedder.metadata["precision"] == "fp32"
    assert "10 crops" in embedder.metadata["int8"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_an_exported_model_can_be_calibrated_later(tmp_path, folder):
    model = random_model(spec=ModelSpec("plain-conv", width=0.5))
    export_model(model, tmp_path / "plain.onnx")
    export(tmp_path / "plain.onnx", tmp_path / "later.onnx", calibration=folder)
    export_model(model, tmp_path / "once.onnx", calibration=folder)
    later, once = (Embedder(tmp_path / name, 1, "int8").metadata for name in ("later.onnx", "once.onnx"))
    assert later["int8_ranges"] == once["int8_ranges"]
    with pytest.raises(WeightsError, match=r"plain\.onnx: has no ranges for 8-bit integers"):
        Embedder(tmp_path / "plain.onnx", 1, "int8")


def test_exporting_leaves_the_model_as_it_was(tmp_path):
    model = random_model().train()
    before = [name for name, _ in model.named_modules()]
    export_model(model, tmp_path / "model.onnx")
    assert model.training
    assert [name for name, _ in model.named_modules()] == before


def test_a_network_is_exported_fused(tmp_path):
    export_model(random_model(), tmp_path / "model.onnx")
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    fused = sum(node.op_type == "Conv" for node in graph.node)
    blocks = sum(type(one).__name__ == "PlainBlock" for one in random_model().backbone.modules())
    mask_convolutions = sum(isinstance(one, torch.nn.Conv2d) for one in random_model().mask.modules())
    assert fused == blocks + mask_convolutions


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_evidence_is_exported_where_a_model_has_it(tmp_path, precision):
    model, crops = WithEvidence(random_model()), pictures(3)
    export_model(model, tmp_path / "model.onnx", precision)
    embedder = Embedder(tmp_path / "model.onnx", threads=1)
    evidence = embedder.evidence(crops)
    assert (evidence.shape, evidence.dtype) == ((3, 16, 8), np.float32)
    np.testing.assert_allclose(evidence, expected_of(model, crops)[2], atol=1e-4 if precision == "fp32" else 0.02)
    assert embedder.evidence([]).shape == (0, 16, 8)
    assert "evidence float32 (N, 16, 8)" in embedder.metadata["output"]
    assert len(embedder.embed(crops)) == 3


def test_a_model_without_evidence_is_refused_by_name(tmp_path):
    export_model(random_model(), tmp_path / "model.onnx")
    with pytest.raises(WeightsError, match=r"model\.onnx: this model has no output evidence"):
        Embedder(tmp_path / "model.onnx", threads=1).evidence(pictures(1))


def test_metadata_describes_the_checkpoint(tmp_path):
    torch.save(packed_model(SPEC, random_model().state_dict()), tmp_path / "best.pt")
    export(tmp_path / "best.pt", tmp_path / "model.onnx")
    metadata = Embedder(tmp_path / "model.onnx", threads=1).metadata
    assert {key: metadata[key] for key in ("backbone", "mask", "dimensions", "precision")} == {
        "backbone": "plain-conv, width 0.25",
        "mask": "lite",
        "dimensions": "512",
        "precision": "fp32",
    }
    assert metadata["input"] == "images uint8 (N, 256, 128, 3), colour order BGR, 0 to 255"
    assert metadata["licence"].startswith("AGPL-3.0-only")


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    torch.save(packed_model(ModelSpec("osnet", width=0.25), random_model().state_dict()), tmp_path / "best.pt")
    with pytest.raises(WeightsError, match=r"best\.pt: not weights of this width or backbone") as caught:
        export(tmp_path / "best.pt", tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model.onnx").exists()


def test_a_file_that_is_too_far_off_does_not_appear(tmp_path, monkeypatch):
    monkeypatch.setattr(reid_export, "LEAST_COSINE", 1.1)
    with pytest.raises(ExportError, match=r"model\.onnx: fp16: mean cosine with PyTorch"):
        export_model(random_model(), tmp_path / "model.onnx", "fp16")
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_int8_is_too_far_off_does_not_appear(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(calibration, "MASK_TOLERANCE", -1.0)
    with pytest.raises(ExportError, match=r"model\.onnx: int8: mean cosine with float32"):
        export_model(random_model(spec=ModelSpec("plain-conv", width=0.5)), tmp_path / "model.onnx", calibration=folder)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_gives_nan_is_not_exported(tmp_path):
    model = random_model()
    with torch.no_grad():
        model.neck.weight.fill_(torch.nan)
    with pytest.raises(ExportError, match="the exported fp32 file does not work"):
        export_model(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_only_float32_can_be_calibrated(tmp_path, folder):
    with pytest.raises(ExportError, match="only a file in fp32 can be calibrated"):
        export_model(random_model(), tmp_path / "model.onnx", "fp16", folder)
    export_model(random_model(), tmp_path / "half.onnx", "fp16")
    with pytest.raises(ExportError, match=r"half\.onnx: only a file in fp32 can be calibrated"):
        export(tmp_path / "half.onnx", tmp_path / "model.onnx", calibration=folder)


def test_a_network_of_small_convolutions_cannot_be_calibrated(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(int8, "SMALLEST_SHARE", 1.0)
    with pytest.raises(ExportError, match=r"model\.onnx: no convolution is large enough"):
        export_model(random_model(), tmp_path / "model.onnx", calibration=folder)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_calibrate_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such folder of calibration crops"):
        export_model(random_model(), tmp_path / "model.onnx", calibration=tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no images"):
        export_model(random_model(), tmp_path / "model.onnx", calibration=tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"broken\.jpg: is not an image"):
        export_model(random_model(), tmp_path / "model.onnx", calibration=tmp_path)
