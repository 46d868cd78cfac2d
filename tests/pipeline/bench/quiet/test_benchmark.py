"""What quiet footage saves and loses, measured on footage with a known still and a known busy part."""

import json

import cv2
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from reidpipe.pipeline.bench.quiet.variations import INSERTED, varied
from reidpipe.pipeline.cli.benchmarks.quiet import VARIATIONS
from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.types import Frame

from ...media import write_video
from ...networks import write_detector


def frames_of(count, rate=10):
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    return [Frame("a", i, 50 + i / rate, np.roll(texture, 8 * i, 1)) for i in range(count)]


@pytest.mark.parametrize("kind", [kind for kind in VARIATIONS if kind != "pauses"])
def test_every_variation_keeps_number_time_and_size_of_the_frames(kind):
    before = frames_of(12)
    after = list(varied(before, kind, [], 0.0))
    assert [(one.index, one.seconds, one.image.shape) for one in after] == [
        (one.index, one.seconds, one.image.shape) for one in before]
    changes = [np.abs(one.image.astype(float) - two.image).mean() for one, two in zip(before, after, strict=True)]
    assert kind == "plain" or 0.1 < max(changes) < 120
    correlation = np.corrcoef([one.image.ravel() for one in (*after, *before)])[:12, 12:]
    assert correlation.argmax(1).tolist() == list(range(12)), "each picture shows its own frame"


def test_pauses_are_played_to_and_fro_and_shift_what_follows():
    before = frames_of(100)
    empty = [np.full((96, 128, 3), i, np.uint8) for i in range(3)]
    after = list(varied(before, "pauses", empty, 2.0))
    inserted = [one for one in after if one.index >= INSERTED]
    assert [one.image[0, 0, 0] for one in inserted[:6]] == [0, 1, 2, 1, 0, 1]
    assert [one.index for one in after if one.index < INSERTED] == list(range(100))
    steps = np.diff([one.seconds for one in after])
    assert np.allclose(steps, 0.1)
    assert len(inserted) == 20  # after five seconds, once


@pytest.fixture
def config(tmp_path):
    weights = write_detector(tmp_path / "person.onnx", [[320, 240, 60, 140, 0.9]])
    write_video(tmp_path / "left.mp4", 20, size=(640, 480))
    path = tmp_path / "store.yaml"
    path.write_text(yaml.safe_dump({
        "cameras": {"left": {"source": "left.mp4"}}, "detector": {"weights": str(weights)}, "database": "own.db"}))
    return path


def test_the_command_reports_people_of_full_detection_and_writes_no_database(config, tmp_path):
    truth = tmp_path / "left.txt"
    truth.write_text("".join(f"{i + 1},1,290,170,60,140,1\n" for i in range(20)))
    done = CliRunner().invoke(main, ["bench", "quiet", "--cameras", str(config), "--truth", str(truth), "--json",
                                     "--vary", "plain", "--vary", "dark", "--vary", "pauses"])
    assert done.exit_code == 0, done.output
    plain, dark = json.loads(done.stdout)  # no pauses: the camera never shows an empty scene
    assert (plain["variation"], dark["variation"]) == ("plain", "dark")
    assert plain["frames"] == plain["people"] == 20
    assert 0 < plain["searched"] <= 20
    assert plain["lost"] == 0
    assert plain["idf1_full"] == plain["idf1_quiet"] == plain["agreement"] == 1.0
    assert not (tmp_path / "own.db").exists()


def test_the_table_names_every_camera(config):
    done = CliRunner().invoke(main, ["bench", "quiet", "--cameras", str(config), "--frames", "8"])
    assert done.exit_code == 0, done.output
    assert "left" in done.output
    assert "100.00" in done.output
