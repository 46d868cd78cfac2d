"""Outputs replace neither inputs nor files of other kinds; former outputs are recognised by what is in them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from reidpipe.reid import SHIPPED_WEIGHTS, OutputError, WeightsError
from reidpipe.reid.backbones.weights import read_state
from reidpipe.reid.data.dataset import read_crop_set, read_people, read_unlabelled
from reidpipe.reid.disk.files import failing_as, is_png_by, replacing, write_png
from reidpipe.reid.disk.guard import MARK, Guard, begins_with
from reidpipe.reid.errors import DatasetError
from reidpipe.reid.export import is_exported_model
from reidpipe.reid.training.checkpoint import is_own_checkpoint, save
from reidpipe.reid.training.train import check_outputs

from ...permissions import binding_permissions


def never(path):
    return False


def always(path):
    return True


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "a.png").write_bytes(b"picture")
    (tmp_path / "net.xml").write_text("<net/>")
    (tmp_path / "net.bin").write_bytes(b"weights")
    return tmp_path


def refused(guard, path, is_former_output=always):
    with pytest.raises(OutputError) as raised:
        guard.check(path, is_former_output)
    return str(raised.value)


@pytest.mark.parametrize("force", [False, True])
def test_an_input_and_its_partner_are_never_replaced(folder, force):
    guard = Guard([folder / "net.xml"], force=force)
    for name in ("net.xml", "net.bin"):
        assert "is read by this command" in refused(guard, folder / name)


def test_a_file_that_the_command_will_make_for_itself_is_protected_before_it_exists(folder):
    guard = Guard([folder / "a.db-wal"], force=True)
    for name in ("a.db-wal", "crops/../a.db-wal", "A.DB-WAL"):  # the last is the same file on some systems
        assert "is read by this command" in refused(guard, folder / name)


def test_folders_that_are_read_get_no_pictures_and_keep_their_files(folder):
    guard = Guard([folder / "crops"], force=True)
    assert "would be a new picture" in refused(guard, folder / "crops" / "new.PNG")
    assert "lies in" in refused(guard, folder / "crops" / "a.png", never)
    guard.check(folder / "crops" / "table.md", never)
    guard.check(folder / "crops" / "a.png", always)  # an earlier output


def test_patterns_get_no_new_files_but_folders_below_them_do(folder):
    (folder / "link").symlink_to(folder / "crops")
    guard = Guard(patterns=[f"{folder}/link/*.mp4"], force=True)
    assert "would be a new file of" in refused(guard, folder / "crops" / "door.mp4")
    guard.check(folder / "crops" / "rendered" / "door.mp4", never)
    guard.check(folder / "crops" / "door.csv", never)


def test_a_foreign_file_needs_force_and_an_empty_one_does_not(folder):
    (folder / "notes").write_text("work")
    assert "--force" in refused(Guard(), folder / "notes", never)
    Guard(force=True).check(folder / "notes", never)
    (folder / "empty").touch()
    Guard().check(folder / "empty", never)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_and_loops_are_no_files(folder):
    (folder / "loop").symlink_to("loop")
    for path in (Path("/dev/full"), folder / "loop"):
        with pytest.raises(OutputError, match="is not a file"), replacing(path):
            pass


def test_models_are_recognised_by_their_metadata(folder):
    assert is_exported_model(SHIPPED_WEIGHTS), "written by an earlier version"
    (folder / "net.onnx").write_bytes(b"\x08\x07 not a model" * 10)
    assert not is_exported_model(folder / "net.onnx")


def test_checkpoints_are_recognised_by_their_keys(folder):
    state = {"spec": {"backbone": "osnet", "mask": "full"}, "model": {"w": torch.zeros(2)}}
    save(state, folder / "best.pt")
    assert is_own_checkpoint(folder / "best.pt")
    torch.save({"model": {"w": torch.zeros(2)}}, folder / "other.pt")
    (folder / "text.pt").write_text("text")
    assert not is_own_checkpoint(folder / "other.pt")
    assert not is_own_checkpoint(folder / "text.pt")


def test_pictures_name_their_maker(folder):
    write_png(folder / "own.png", np.zeros((8, 8, 3), np.uint8))
    Figure().savefig(folder / "curves.png")
    assert is_png_by(folder / "own.png", MARK)
    assert not is_png_by(folder / "curves.png", MARK)
    assert is_png_by(folder / "curves.png", MARK, "Matplotlib"), "as earlier versions wrote curves.png"
    assert not is_png_by(folder / "crops" / "a.png", MARK)


def test_a_training_continues_in_its_folder_and_in_no_other(folder):
    out = folder / "out"
    check_outputs(out, Guard(), resume=False)
    out.mkdir()
    (out / "log.jsonl").write_text(json.dumps({"epoch": 0, "losses": {}}) + "\n")
    save({"fingerprint": ""}, out / "teacher.pt")
    Figure().savefig(out / "curves.png")
    check_outputs(out, Guard(), resume=False)
    with pytest.raises(OutputError, match=r"teacher\.pt is read"):
        check_outputs(out, Guard([out / "teacher.pt"], force=True), resume=True)
    (out / "best.pt").write_bytes(b"someone's weights")
    with pytest.raises(OutputError, match=r"best\.pt exists.*--force"):
        check_outputs(out, Guard(), resume=False)


def test_text_is_recognised_by_its_beginning(folder):
    (folder / "t.md").write_text("| mAP | clean |")
    assert begins_with(folder / "t.md", "no", "| mAP |")
    assert not begins_with(folder / "t.md", "| mAP | clean | more |")


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.parametrize(("read", "kind"), [
    pytest.param(read_state, WeightsError, id="checkpoint"),
    pytest.param(read_crop_set, DatasetError, id="crops"),
    pytest.param(read_people, DatasetError, id="people"),
    pytest.param(read_unlabelled, DatasetError, id="unlabelled"),
])  # fmt: skip
def test_a_closed_folder_is_an_error_of_what_should_be_read(folder, read, kind):
    closed = folder / "closed"
    closed.mkdir(mode=0o000)
    with binding_permissions(), pytest.raises(kind, match="Permission denied"):
        read(closed / "inside")


def test_an_error_of_the_system_names_its_file(folder):
    with pytest.raises(DatasetError, match=r"none: No such file"), failing_as(DatasetError, folder):
        (folder / "none").read_text()
