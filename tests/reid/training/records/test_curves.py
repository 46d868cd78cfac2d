import cv2
import pytest

from reidpipe.reid.training.records.curves import draw_curves
from reidpipe.reid.training.records.log import TrainingLog


def record(epoch, held_out=True, losses=None):
    scores = {
        metric: {"mean_average_precision": 0.1 * epoch + shift}
        for metric, shift in (("plain", 0.02), ("masked", 0.05), ("permuted", 0.0))
    }
    return {
        "epoch": epoch,
        "losses": {"plain": 3.0 / (epoch + 1), "triplet": 1.0 / (epoch + 1)} if losses is None else losses,
        "skipped": epoch % 2,
        "learning_rate": 0.1,
        "seconds": 1.0,
        "held_out": {"market/train": {"clean": scores, "occluded": scores}} if held_out else {},
    }


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([record(epoch) for epoch in range(5)], id="a run"),
        pytest.param([record(epoch, held_out=epoch % 2 == 1) for epoch in range(4)], id="evaluated now and then"),
        pytest.param([record(0, held_out=False)], id="not evaluated yet"),
        pytest.param([record(0, losses={}), record(1)], id="an epoch without a finite step"),
    ],
)
def test_curves_are_a_picture(tmp_path, records):
    draw_curves(records, tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture.shape == (900, 1000, 3)
    assert picture.std() > 10
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_no_epoch_no_picture(tmp_path):
    draw_curves([], tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_a_log_forgets_what_is_done_again_and_a_line_cut_short(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    assert log.records() == []
    for epoch in range(3):
        log.append(record(epoch))
    with log.path.open("a") as file:
        file.write('{"epoch": 3,')
    assert [one["epoch"] for one in log.records()] == [0, 1, 2]
    log.cut(2)
    assert log.records() == [record(0), record(1)]
