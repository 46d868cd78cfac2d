"""`reidpipe bench search`, and how the benchmarks take their options."""

import json

import pytest
import yaml
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


def test_an_option_before_the_name_of_another_benchmark_is_refused():
    done = CliRunner().invoke(main, ["bench", "--rounds", "2", *SMALL[1:]])
    assert done.exit_code == 2
    assert "--rounds stands before search" in done.output


def test_a_day_that_is_no_database_is_named(tmp_path):
    (tmp_path / "day.db").write_text("hello")
    done = CliRunner().invoke(main, ["bench", "page", "--truth", str(tmp_path), "--day", str(tmp_path / "day.db")])
    assert done.exit_code == 5, done.output
    assert "day.db: it is not a database" in done.stderr


@pytest.mark.parametrize("benchmark", [["linking"], ["page", "--day", "day.db"]], ids=lambda one: one[0])
@pytest.mark.parametrize("named", ["--cameras", "--database"])
def test_benchmarks_of_a_stored_run_take_it_from_where_the_user_says(benchmark, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "store.yaml"
    config.write_text(yaml.safe_dump({"cameras": {"door": {"source": "door.mp4"}}, "database": "results.db"}))
    path = config if named == "--cameras" else tmp_path / "results.db"
    done = CliRunner().invoke(main, ["bench", *benchmark, "--truth", str(tmp_path), named, str(path)])
    assert done.exit_code == 5, done.output
    assert done.stderr == (
        f"reidpipe: {tmp_path}/results.db: there is no database: run the pipeline first, or give the right path\n")
    assert [one.name for one in tmp_path.iterdir()] == ["store.yaml"]
