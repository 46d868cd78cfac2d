"""A camera's report adds up, whether its footage was analysed to the end or not."""

import logging

from reidpipe.pipeline.sources.counts import FootageCounts, camera_report
from reidpipe.pipeline.types import CameraReport


def counts(decoded, thinned=0):
    made = FootageCounts("door")
    for _ in range(decoded):
        made.add_decoded()
    for _ in range(thinned):
        made.add_thinned()
    return made


def test_footage_that_was_analysed_to_its_end_is_complete():
    footage = counts(10, thinned=4)
    footage.finish(reached_end=True, seconds=0.9)
    assert camera_report(footage, analysed=6) == CameraReport("door", decoded=10, analysed=6, thinned=4)


def test_frames_that_were_decoded_but_not_analysed_are_dropped():
    footage = counts(10, thinned=4)
    footage.finish(reached_end=True, seconds=0.9)
    report = camera_report(footage, analysed=5)
    assert (report.dropped, report.status) == (1, "partial")
    assert report.error == "stopped with 1 decoded frame not analysed"


def test_footage_that_was_not_read_to_its_end_is_partial():
    footage = counts(3)
    footage.finish(reached_end=False, seconds=0.2)
    report = camera_report(footage, analysed=1)
    assert (report.dropped, report.status, report.error) == (2, "partial", "stopped after 0.2 s of footage")


def test_that_a_run_was_stopped_is_no_warning(caplog):
    """Who stopped it knows, or reads the error that ended the run."""
    counts(3).finish(reached_end=False, seconds=0.2)
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_footage_without_a_frame_has_failed():
    footage = counts(0)
    footage.finish(reached_end=True, seconds=0.0)
    report = camera_report(footage, analysed=0)
    assert (report.status, report.error) == ("failed", "no frame could be decoded")


def test_the_report_holds_the_first_problem_and_the_log_all(caplog):
    footage = counts(3)
    for number in range(3):
        footage.add_problem(f"part {number} is damaged")
    assert camera_report(footage, analysed=3).error == "part 0 is damaged (and 2 more, see the log)"
    assert "camera door: part 2 is damaged" in caplog.text
