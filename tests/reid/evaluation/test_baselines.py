import numpy as np
import pytest

from reidpipe.reid import WeightsError
from reidpipe.reid.evaluation.baselines import BATCH_CROPS, Baseline
from reidpipe.reid.evaluation.speed import measure_speeds
from reidpipe.reid.training.stages import embed_clean_crops

from ..small_networks import write_baseline, write_openvino_baseline

RED_ABOVE_BLUE = np.zeros((50, 20, 3), np.uint8)  # BGR
RED_ABOVE_BLUE[:25, :, 2] = 255
RED_ABOVE_BLUE[25:, :, 0] = 255


def unit(values):
    values = np.asarray(values, np.float32).ravel()
    return values / np.linalg.norm(values)


def test_an_onnx_baseline_gets_rgb_normalised_by_imagenet(tmp_path):
    (row,) = Baseline(write_baseline(tmp_path / "baseline.onnx"), threads=1).embed([RED_ABOVE_BLUE])
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    quarters = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]])  # R, G, B of the upper two and lower two
    np.testing.assert_allclose(row, unit((quarters - mean[:, None]) / std[:, None]), atol=0.01)


def test_an_openvino_baseline_gets_bgr_from_0_to_255(tmp_path):
    baseline = Baseline(write_openvino_baseline(tmp_path / "baseline.xml"), threads=1)
    np.testing.assert_allclose(baseline.prepare([RED_ABOVE_BLUE]).max((0, 2, 3)), [255, 0, 255])
    (row,) = baseline.embed([RED_ABOVE_BLUE])
    np.testing.assert_allclose(row, unit([[0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]]), atol=0.01)


@pytest.mark.parametrize("count", [1, BATCH_CROPS, BATCH_CROPS + 3])
@pytest.mark.parametrize(
    "network",
    [
        pytest.param({}, id="any batch"),
        pytest.param({"input_shape": (1, 3, 256, 128)}, id="batch of one"),
        pytest.param({"output": "column"}, id="embedding as a column"),
    ],
)
def test_a_crop_s_embedding_does_not_depend_on_its_batch(tmp_path, count, network):
    baseline = Baseline(write_baseline(tmp_path / "baseline.onnx", **network), threads=1)
    crops = list(np.random.default_rng(0).integers(0, 256, (count, 40, 20, 3), np.uint8))
    together = baseline.embed(crops)
    assert together.shape == (count, 12)
    np.testing.assert_allclose(together[-1:], baseline.embed(crops[-1:]), atol=1e-6)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        pytest.param({"input_shape": ("batch", 1, 256, 128)}, r"expected one input \(N, 3, height", id="grey"),
        pytest.param({"input_shape": (5, 3, 256, 128)}, r"expected a batch of any size.*got 5", id="odd batch"),
        pytest.param({"output": "map"}, r"expected an output \(N, T\).*got \(8, 3, 2, 2\)", id="map"),
        pytest.param({"gain": np.nan}, r"embeddings of length 0 or NaN", id="NaN"),
    ],
)
def test_a_network_with_another_interface_is_refused(tmp_path, network, message):
    with pytest.raises(WeightsError, match=rf"baseline\.onnx: .*{message}"):
        Baseline(write_baseline(tmp_path / "baseline.onnx", **network), threads=1).embed([RED_ABOVE_BLUE])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("baseline.pt", b"", "expected an OpenVINO .xml or an .onnx network", id="PyTorch"),
        pytest.param("baseline.onnx", b"no", "not a readable ONNX model", id="broken ONNX"),
        pytest.param("baseline.xml", b"no", "not a readable OpenVINO network", id="broken OpenVINO"),
        pytest.param("baseline.xml", None, "no such network", id="missing"),
    ],
)
def test_a_file_of_another_type_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name}: {message}"):
        Baseline(tmp_path / name)


def test_a_third_party_onnx_network_can_be_the_teacher(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2, 256, 128, 3), np.uint8)
    embeddings = embed_clean_crops(write_baseline(tmp_path / "baseline.onnx"), images)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


class Embedder:
    """Takes a given time for every call."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def embed(self, crops):
        self.clock.now += self.seconds


class FakeBaseline(Embedder):
    name = "baseline"

    def prepare(self, crops):
        return crops

    def infer(self, blob):
        self.embed(blob)


class Clock:
    now = 0.0


def test_speed_is_crops_over_time_and_relative_to_the_first_baseline(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("reidpipe.reid.evaluation.speed.time.perf_counter", lambda: clock.now)
    crops = [RED_ABOVE_BLUE] * BATCH_CROPS
    ours, baseline = measure_speeds("ours", Embedder(clock, 0.0625), [FakeBaseline(clock, 0.125)], crops)
    assert (ours.name, ours.crops_per_second, ours.ratio) == ("ours", 128, 2)
    assert (baseline.name, baseline.crops_per_second, baseline.ratio) == ("baseline", 64, 1)
    (alone,) = measure_speeds("ours", Embedder(clock, 0.0625), [], crops)
    assert alone.ratio == 1
    with pytest.raises(ValueError, match="crops: expected at least 8, got 7"):
        measure_speeds("ours", Embedder(clock, 1), [], crops[1:])
