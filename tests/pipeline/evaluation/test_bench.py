"""The pipeline benchmark, with every measurement in a process of its own."""

import json

import pytest
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.evaluation.bench import WARM_UP_FRAMES

from ..media import write_video
from ..networks import write_detector


@pytest.fixture
def config(tmp_path):
    weights = write_detector(tmp_path / "person.onnx", [[320, 240, 60, 140, 0.9]])
    for name in ("left", "right"):
        write_video(tmp_path / f"{name}.mp4", 20, size=(640, 480))
    path = tmp_path / "store.yaml"
    cameras = {name: {"source": f"{name}.mp4"} for name in ("left", "right")}
    path.write_text(yaml.safe_dump({"cameras": cameras, "detector": {"weights": str(weights)}, "database": "own.db"}))
    return path


def test_pipeline_and_bare_loop_go_through_the_same_frames(config, tmp_path):
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--rounds", "1", "--twice", "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    ((pipeline, bare),) = result["rounds"]
    assert (pipeline["what"], bare["what"]) == ("pipeline", "bare")
    assert pipeline["frames"] == bare["frames"] == 40 > WARM_UP_FRAMES
    assert {"decode", "detect", "track", "embed", "link"} <= set(pipeline["stage_seconds"])
    assert set(bare["stage_seconds"]) == {"decode", "detect"}
    assert result["of_bare"] == pytest.approx(pipeline["frames_per_second"] / bare["frames_per_second"])
    assert result["peak_growth"] > 0.5
    assert pipeline["peak_mib"] > 100
    assert not (tmp_path / "own.db").exists(), "the config's own database is not touched"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("nowhere.pt", None, "no such baseline weights", id="missing"),
        pytest.param("damaged.pt", b"no weights", "is neither ONNX nor OpenVINO", id="untrusted"),
        pytest.param("notes.txt", b"no weights", "is neither ONNX nor OpenVINO", id="not weights"),
    ],
)
def test_an_unreadable_baseline_is_reported_before_anything_is_measured(config, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--baseline", str(tmp_path / name)])
    assert done.exit_code == 4, done.output
    assert name in done.output
    assert message in done.output


def test_the_deprecated_option_peer_still_names_the_baseline(config, tmp_path):
    done = CliRunner().invoke(main, ["bench", "--cameras", str(config), "--peer", str(tmp_path / "nowhere.pt")])
    assert done.exit_code == 4, done.output
    warning, error = done.stderr.splitlines()
    assert warning == "reidpipe: warning: --peer is deprecated, use --baseline"
    assert "nowhere.pt: no such baseline weights" in error
