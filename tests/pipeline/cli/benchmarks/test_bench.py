"""`reidpipe bench search`, and `reidpipe bench` without a config."""

import json

from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main

SMALL = ["bench", "search", "--sizes", "300", "--dimensions", "64", "--rounds", "1", "--threads", "1"]


def test_searches_are_compared_with_the_flat_index():
    done = CliRunner().invoke(main, [*SMALL, "--sizes", "4200", "--json"])
    assert done.exit_code == 0, done.output
    few, many = json.loads(done.stdout)
    assert [few["rows"], many["rows"]] == [300, 4200]
    for one in (few, many):
        assert (one["dimensions"], one["queries"]) == (64, 8)
        assert min(one["flat_seconds"], one["exact_seconds"], one["fast_seconds"]) > 0
        assert one["exact_of_flat"] == one["exact_seconds"] / one["flat_seconds"], "the median of one round"
        assert one["fast_of_flat"] == one["fast_seconds"] / one["flat_seconds"]
        assert 0.95 <= one["recall_at_10"] <= 1
    assert few["recall_at_10"] == 1, "a small gallery is searched exactly"


def test_the_table_names_its_terms():
    done = CliRunner().invoke(main, SMALL)
    assert done.exit_code == 0, done.output
    assert all(word in done.output for word in ("IndexFlatIP", "recall", "300"))


def test_bench_without_a_config_is_a_usage_error():
    done = CliRunner().invoke(main, ["bench"])
    assert done.exit_code == 2
    assert "--cameras" in done.output
