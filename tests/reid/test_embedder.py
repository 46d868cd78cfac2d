import numpy as np
import onnx
import pytest
import torch

from reidpipe.reid import SHIPPED_WEIGHTS, Embedder, ExportError, WeightsError, embed, masked_similarity
from reidpipe.reid.crops import resize_crop, stack_crops
from reidpipe.reid.export import export, export_model
from reidpipe.reid.model.network import ModelSpec, create_model
from reidpipe.reid.training.held_out import embed_images

SIZE_LIMIT_BYTES = 10_000_000


def random_model(seed=0):
    torch.manual_seed(seed)
    model = create_model(ModelSpec(width=0.25))
    torch.nn.init.normal_(model.mask.out.weight)
    return model.eval()


def random_crops(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*rng.integers(20, 300, 2), 3), np.uint8) for _ in range(n)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model.onnx"
    export_model(random_model(), path)
    return path


def test_exported_weights_compute_what_pytorch_computes(exported):
    crops = random_crops(3, seed=1)
    appearance = Embedder(exported, threads=1).embed(crops)
    expected = embed_images(random_model(), stack_crops(crops))
    np.testing.assert_allclose(appearance.embedding, expected.embedding, atol=1e-3)
    np.testing.assert_allclose(appearance.mask, expected.mask, atol=1e-3)


def test_no_crops_give_an_empty_appearance(exported):
    embedder = Embedder(exported, threads=1)
    empty = embedder.embed([])
    assert len(empty) == 0
    assert empty.dimensions == embedder.dimensions == 512


@pytest.mark.parametrize("batch", [1, 4])
def test_batching_changes_nothing(exported, batch):
    embedder, alone = Embedder(exported, threads=2, batch=batch), Embedder(exported, threads=1)
    crops = random_crops(35)
    together = embedder.embed(crops)
    assert len(together) == 35
    for row in (0, 3, 4, 31, 32, 34):
        np.testing.assert_allclose(together.embedding[row], alone.embed([crops[row]]).embedding[0], atol=1e-4)
        np.testing.assert_allclose(together.mask[row], alone.embed([crops[row]]).mask[0], atol=1e-4)


def test_a_network_that_scales_its_crops_computes_batches():
    fast = SHIPPED_WEIGHTS.with_name("fast.onnx")
    crops = random_crops(5)
    together = Embedder(fast, threads=1, batch=4).embed(crops)
    alone = Embedder(fast, threads=1).embed(crops)
    np.testing.assert_allclose(together.embedding, alone.embedding, atol=1e-3)


def test_the_file_describes_its_input(exported):
    properties = {one.key: one.value for one in onnx.load(str(exported)).metadata_props}
    assert properties["kind"] == "reidpipe-appearance"
    assert "BGR" in properties["input"]
    assert properties["dimensions"] == "512"
    assert "inside the graph" in properties["normalisation"]


def test_an_export_that_differs_is_refused_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("reidpipe.reid.export.PARITY_TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="differs from PyTorch by"):
        export_model(random_model(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def other_model(path, kind=None):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], "other", [value], [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    if kind is not None:
        onnx.helper.set_model_props(model, {"kind": kind})
    onnx.save(model, str(path))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        pytest.param(lambda path: None, "no such weights file", id="missing"),
        pytest.param(lambda path: path.write_bytes(b"garbage"), "is damaged or not an ONNX model", id="garbage"),
        pytest.param(lambda path: path.write_bytes(b""), "is damaged or not an ONNX model|got none", id="empty"),
        pytest.param(
            lambda path: path.write_bytes(SHIPPED_WEIGHTS.read_bytes()[:5000]),
            "is damaged or not an ONNX model",
            id="cut off",
        ),
        pytest.param(other_model, "expected an ONNX model of kind reidpipe-appearance", id="another model"),
        pytest.param(
            lambda path: other_model(path, "two\r\nlines \x1b[2J"),
            r"got two lines \?\[2J version none",
            id="steering text",
        ),
    ],
)
def test_invalid_weights_are_refused_in_one_line(tmp_path, write, message):
    path = tmp_path / "model.onnx"
    write(path)
    with pytest.raises(WeightsError, match=message) as caught:
        Embedder(path, threads=1)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "no such weights file", id="missing"),
        pytest.param(b"garbage", "not a readable PyTorch file", id="garbage"),
    ],
)
def test_export_refuses_files_that_are_no_checkpoints(tmp_path, content, message):
    path = tmp_path / "best.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        export(path, tmp_path / "model.onnx")


def test_export_refuses_another_programs_checkpoint(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "best.pt")
    with pytest.raises(WeightsError, match="not a checkpoint of this program"):
        export(tmp_path / "best.pt", tmp_path / "model.onnx")


def test_the_bundled_weights_load_and_are_small():
    assert SHIPPED_WEIGHTS.stat().st_size <= SIZE_LIMIT_BYTES
    assert (SHIPPED_WEIGHTS.parent / "MODEL_CARD.md").is_file()
    embedder = Embedder(threads=1)
    people = embedder.embed(random_crops(3))
    assert people.dimensions == 256
    assert embedder.evidence(random_crops(3)).shape == (3, 16, 8)
    similarity = masked_similarity(people, people)
    np.testing.assert_allclose(np.diag(similarity), 1, atol=1e-4)


@pytest.mark.parametrize(
    "crop",
    [
        pytest.param(np.zeros((10, 10, 3), np.float32), id="float"),
        pytest.param(np.zeros((10, 10), np.uint8), id="grey"),
        pytest.param(np.zeros((0, 10, 3), np.uint8), id="no rows"),
        pytest.param(np.zeros((10, 10, 4), np.uint8), id="alpha"),
        pytest.param(None, id="an image that OpenCV could not read"),
    ],
)
def test_crops_of_the_wrong_kind_are_refused(crop):
    with pytest.raises(ValueError, match=r"crop: expected uint8 \(h, w, 3\)"):
        resize_crop(crop)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (256, 128), (48, 128), (900, 400), (10, 500)])
def test_crops_of_any_size_become_one_size(height, width):
    crop = np.full((height, width, 3), 77, np.uint8)
    resized = resize_crop(crop)
    assert resized.shape == (256, 128, 3)
    assert (resized == 77).all()


def test_embed_uses_the_bundled_weights():
    crops = random_crops(2)
    one, other = embed(crops), Embedder(threads=1).embed(crops)
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)
    np.testing.assert_allclose(one.mask, other.mask, atol=1e-5)
    assert len(embed([])) == 0


def with_evidence(path, source, shape):
    """The same file with a third output of this shape."""
    model = onnx.load(str(source))
    value = np.zeros(shape, np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(value, "evidence"))
    model.graph.output.append(onnx.helper.make_tensor_value_info("evidence", onnx.TensorProto.FLOAT, shape))
    onnx.save(model, str(path))


def test_evidence_of_another_shape_is_refused(tmp_path, exported):
    with_evidence(tmp_path / "model.onnx", exported, (1, 8, 4))
    with pytest.raises(WeightsError, match=r"expected output evidence of shape \(N, 16, 8\), got \(N, \*\[8, 4\]\)"):
        Embedder(tmp_path / "model.onnx", threads=1)
