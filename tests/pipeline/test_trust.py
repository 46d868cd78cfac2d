"""Weights from anyone: nothing in them is executed, and nothing outside of their folder is read."""

import os
import pickle
import shutil

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper

from reidpipe.pipeline.errors import WeightsError
from reidpipe.pipeline.trust import require_data_only
from reidpipe.reid.backbones.weights import read_state
from reidpipe.reid.embedder import Embedder
from reidpipe.reid.engines.onnx_file import check_onnx_file
from reidpipe.reid.evaluation.baselines import Baseline

from .commands import reidpipe
from .media import write_video
from .networks import write_detector


class Touch:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def executed(tmp_path):
    """The folder that appears when a hostile file is executed."""
    return tmp_path / "executed"


@pytest.fixture(params=["plain pickle", "torch.save", "older torch.save"])
def evil(request, tmp_path, executed):
    path = tmp_path / "evil.pt"
    if request.param == "plain pickle":
        path.write_bytes(pickle.dumps(Touch(executed)))
    else:
        torch.save({"model": Touch(executed)}, path, _use_new_zipfile_serialization=request.param == "torch.save")
    return path


@pytest.fixture
def config(tmp_path):
    write_video(tmp_path / "a.mp4", 6, size=(64, 64))

    def write(**sections):
        path = tmp_path / "store.yaml"
        path.write_text(yaml.safe_dump({"cameras": {"a": {"source": "a.mp4"}}, "database": "x.db", **sections}))
        return path

    return write


def test_the_file_is_hostile_indeed(evil, executed):
    torch.load(evil, weights_only=False) if not evil.read_bytes().startswith(b"\x80\x04") else pickle.loads(
        evil.read_bytes()
    )
    assert executed.is_dir()


@pytest.mark.parametrize("command", ["run", "check", "evaluate-detector", "bench"])
def test_a_detector_that_is_a_pickle_is_not_loaded(command, evil, executed, config, tmp_path):
    path = config(detector={"weights": str(evil)})
    arguments = [path] if command == "check" else ["--cameras", path]
    if command == "evaluate-detector":
        arguments += ["--reference", "person"]
    if command == "bench":
        arguments += ["--rounds", 1]
    done = reidpipe(command, *arguments)
    assert not executed.exists()
    assert done.exit_code == 4, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reidpipe: ")]
    assert "--trust-weights" in line
    assert "evil.pt" in line
    assert not (tmp_path / "x.db").exists()


def test_other_options_that_take_weights_do_not_load_a_pickle(evil, executed, config, tmp_path):
    path = config()
    for arguments in (
        ["train-detector", "--weights", evil, "--out", tmp_path / "out"],
        ["bench", "--cameras", path, "--rounds", 1, "--baseline", evil],
        ["bench", "--cameras", path, "--rounds", 1, "--peer", evil],
        ["evaluate-detector", "--cameras", path, "--reference", evil],
        ["export-model", evil, tmp_path / "out.onnx"],
    ):
        done = reidpipe(*arguments)
        assert (done.exit_code, executed.exists()) == (4, False), (arguments, done.output)


def test_appearance_models_and_checkpoints_do_not_load_a_pickle(evil, executed, config, tmp_path):
    assert reidpipe("check", config(appearance={"weights": str(evil)})).exit_code == 4
    for suffix in (".pt", ".pth", ".bin", ".onnx"):
        copy = shutil.copy(evil, tmp_path / f"copy{suffix}")
        for load in (read_state, Embedder, Baseline):
            with pytest.raises(WeightsError):
                load(tmp_path / copy)
    assert not executed.exists()


def test_trusted_weights_are_loaded(evil, executed, config):
    done = reidpipe("check", config(detector={"weights": str(evil)}), "--trust-weights")
    assert executed.is_dir()
    assert (done.exit_code, "cannot be loaded" in done.stderr) == (4, True), "it is no detector"


@pytest.mark.parametrize(
    "name",
    ["a.pt", "a.pth", "a.torchscript", "a.engine", "a.yaml", "a.tflite", "a.torchscript.onnx", "a.pt.onnx",
     "a_qnn.onnx", "a.onnx ", "a", "a_saved_model", "a.engine_openvino_model", "a.xml"])  # fmt: skip
def test_formats_that_can_run_programs_need_trust(name, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsError, match=r"--trust-weights"):
        require_data_only("detector.weights", str(tmp_path / name), trusted=False)
    require_data_only("detector.weights", str(tmp_path / name), trusted=True)


def test_a_name_is_not_downloaded_without_trust():
    with pytest.raises(WeightsError, match=r"yolov8n\.pt is neither ONNX nor OpenVINO: it would be downloaded"):
        require_data_only("detector.weights", "yolov8n.pt", trusted=False)


def test_openvino_folders_may_not_link_to_files_elsewhere(tmp_path):
    folder = tmp_path / "a_openvino_model"
    folder.mkdir()
    (folder / "a.xml").write_text("<net/>")
    require_data_only("detector.weights", str(folder), trusted=False)
    (folder / "a.bin").symlink_to("/etc/passwd")
    with pytest.raises(WeightsError, match=r"a\.bin is a link to a file outside"):
        require_data_only("detector.weights", str(folder), trusted=False)


def with_tensor_in(path, location, where="initializer"):
    """An ONNX model, one tensor of which lies in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
    if where == "initializer":
        nodes, own = [helper.make_node("Identity", ["w"], ["y"])], [tensor]
    elif where == "constant":
        nodes, own = [helper.make_node("Constant", [], ["y"], value=tensor)], []
    else:
        inner = helper.make_graph([helper.make_node("Constant", [], ["z"], value=tensor)], "inner", [],
                                  [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2])])
        nodes, own = [helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)], [flag]
    model = helper.make_model(helper.make_graph(nodes, "g", [], [result], own))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("where", ["initializer", "constant", "subgraph"])
@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "sub/../../secret.bin", "link.bin", "a" * 5000])
def test_tensors_outside_of_the_models_folder_are_not_read(where, location, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(np.array([4.2, 4.3], np.float32).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = with_tensor_in(folder / "net.onnx", location, where)
    for load in (check_onnx_file, Embedder, Baseline):
        with pytest.raises(WeightsError, match=r"net\.onnx: reads tensors from .* no file in its folder") as caught:
            load(path)
        assert len(str(caught.value)) < 400
    with pytest.raises(WeightsError, match="no file in its folder"):
        require_data_only("detector.weights", str(path), trusted=False)


def test_tensors_beside_the_model_may_be_read(tmp_path):
    (tmp_path / "net.data").write_bytes(bytes(8))
    check_onnx_file(with_tensor_in(tmp_path / "net.onnx", "net.data"))
    assert onnx.load(str(tmp_path / "net.onnx")).graph.initializer[0].name == "w"


def test_exported_detectors_need_no_trust(config, tmp_path):
    weights = write_detector(tmp_path / "person.onnx", [[32, 32, 20, 40, 0.9]])
    assert reidpipe("check", config(detector={"weights": str(weights)})).exit_code == 0
