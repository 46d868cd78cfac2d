"""The commands evaluate-reid and explain."""

import json

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from reidpipe.reid.embedder import FORMAT_VERSION, KIND
from tests.pipeline.commands import reidpipe


def write_people(root, folders=("query", "bounding_box_test"), people=2):
    """Crops of one colour per person; camera 1 has the queries, camera 2 the gallery."""
    for camid, folder in enumerate(folders, 1):
        (root / folder).mkdir(parents=True)
        for pid in range(1, people + 1):
            picture = np.full((32, 16, 3), (200, 90 * pid % 256, 30 * pid), np.uint8)
            cv2.imwrite(str(root / folder / f"{pid:04d}_c{camid}s1_000001_00.png"), picture)
    return root


def write_network(path, output="embedding"):
    """A baseline whose embedding is the mean colour of the quarters of a crop, from float (N, 3, 256, 128)."""
    nodes = [
        helper.make_node("AveragePool", ["images"], ["map"], kernel_shape=[128, 64], strides=[128, 64]),
        helper.make_node("Flatten", ["map"], [output]),
    ]
    graph = helper.make_graph(
        nodes,
        "baseline",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 256, 128])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 12])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def test_one_report_covers_all_query_sets_and_baselines(tmp_path, caplog):
    data = write_people(tmp_path / "data")
    occluded = write_people(tmp_path / "person-heavy", folders=("query",))
    baseline = write_network(tmp_path / "baseline.onnx")
    page, markdown = tmp_path / "out" / "page.png", tmp_path / "out" / "table.md"
    result = reidpipe(
        "evaluate-reid", "--data", data, "--occluded", occluded, "--occlude", "--baseline", baseline, "--page", page,
        "--markdown", markdown, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [one["queries"] for one in report["queries"]] == ["clean", "person-heavy", "synthetic"]
    for one in report["queries"]:
        assert list(one["scores"]) == ["plain", "masked", "query", "permuted", "baseline"]
        assert all(scores["queries"] == 2 for scores in one["scores"].values())
        assert 0 < one["mask"]["participation_ratio"] <= 1
    assert report["queries"][0]["scores"] == report["queries"][1]["scores"]  # the same images
    assert report["queries"][0]["scores"]["baseline"]["rank1"] == 1
    assert "page" not in report
    assert cv2.imread(str(page)).shape[1] > 1000
    header, _, *rows = markdown.read_text().splitlines()
    assert header == "| mAP | clean | person-heavy | synthetic | mean of 2 occluded |"
    assert rows[-1].startswith("| baseline | 100.0 | 100.0 |")
    assert f"{data}: query: identities 2, images 2, cameras 1" in caplog.messages


def test_an_oracle_is_scored_on_every_set_of_queries(tmp_path):
    data = write_people(tmp_path / "data")
    occluded = write_people(tmp_path / "heavy", folders=("query",))
    result = reidpipe("evaluate-reid", "--data", data, "--occluded", occluded, "--oracle", "--json")
    assert result.exit_code == 0, result.output
    reports = json.loads(result.stdout)["queries"]
    assert [list(one["scores"])[-1] for one in reports] == ["oracle", "oracle"]
    assert reports[0]["scores"]["oracle"] == reports[0]["scores"]["plain"]  # nothing is hidden from clean queries


def test_an_oracle_refuses_queries_that_are_not_the_clean_ones(tmp_path):
    data = write_people(tmp_path / "data")
    others = write_people(tmp_path / "others", folders=("query",), people=3)
    result = reidpipe("evaluate-reid", "--data", data, "--occluded", others, "--oracle")
    assert result.exit_code == 2
    assert "others: an oracle needs the 2 clean queries, occluded, under the same file names" in result.output


def test_reports_are_printed_as_tables(tmp_path, monkeypatch):
    monkeypatch.setattr("reidpipe.reid.evaluation.speed.ROUND_SECONDS", 0.01)
    data, baseline = write_people(tmp_path / "data"), write_network(tmp_path / "baseline.onnx")
    markdown = tmp_path / "table.md"
    result = reidpipe("evaluate-reid", "--data", data, "--baseline", baseline, "--speed", "--markdown", markdown)
    assert result.exit_code == 0, result.output
    header, _, *rows = markdown.read_text().splitlines()
    assert header == "| mAP | clean | crops/s of baseline |"
    assert rows[-1] == "| baseline | 100.0 | 1.00 × |"
    assert len({row.split("|")[-2] for row in rows[:-1]}) == 1  # all similarities of ours use one network
    for words in ("clean: 2 queries", "masked", "permuted", "participation ratio", "crops/s", "relative to baseline"):
        assert words in result.stdout


def test_the_layout_can_be_given(tmp_path):
    result = reidpipe("evaluate-reid", "--data", write_people(tmp_path), "--layout", "msmt17")
    assert result.exit_code == 2
    assert "list_gallery.txt: no such list of crops" in result.output


@pytest.mark.parametrize(
    ("spoil", "arguments", "exit_code", "message"),
    [
        pytest.param("query", (), 2, "query: no such folder of crops", id="no queries"),
        pytest.param(None, ("--baseline", "none.xml"), 4, "none.xml: no such network", id="no baseline"),
        pytest.param(None, ("--occluded", "nowhere"), 2, "nowhere: no such folder of crops", id="no occluded queries"),
        pytest.param("query", ("--page", "page.gif"), 6, "page.gif: expected a file name that ends in .png", id="page"),
        pytest.param("query", ("--page", "f/page.png"), 6, "f: cannot be created", id="page below a file"),
        pytest.param("query", ("--markdown", "f/t.md"), 6, "f: cannot be created", id="table below a file"),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, spoil, arguments, exit_code, message):
    data = write_people(tmp_path / "data")
    (tmp_path / "f").write_text("a file")
    monkeypatch.chdir(tmp_path)
    if spoil:  # of two errors, the one about the output comes first
        (data / spoil).rename(tmp_path / "elsewhere")
    result = reidpipe("evaluate-reid", "--data", data, *arguments)
    assert result.exit_code == exit_code
    assert message in result.output
    assert "Traceback" not in result.output


def test_queries_without_a_match_from_another_camera_are_reported(tmp_path, caplog):
    data = write_people(tmp_path / "data", people=2)
    (answer,) = (data / "bounding_box_test").glob("0002_*")
    answer.rename(answer.with_name("0002_c1s1_000001_00.png"))  # now it is from the camera of the queries
    result = reidpipe("evaluate-reid", "--data", data)
    assert result.exit_code == 0, result.output
    assert "clean: warning: 1 of 2 queries have no match from another camera" in caplog.messages
    (answer,) = (data / "bounding_box_test").glob("0001_*")
    answer.rename(answer.with_name("0001_c1s1_000001_00.png"))
    result = reidpipe("evaluate-reid", "--data", data)
    assert result.exit_code == 2
    assert f"{data}: none of the 2 clean queries has a match from another camera" in result.output


def test_two_query_sets_of_one_name_are_refused(tmp_path):
    data = write_people(tmp_path / "data")
    folders = [write_people(tmp_path / parent / "heavy", folders=("query",)) for parent in ("a", "b")]
    result = reidpipe("evaluate-reid", "--data", data, "--occluded", folders[0], "--occluded", folders[1])
    assert result.exit_code == 2
    assert "another set of queries is named heavy already" in result.output


def test_the_deprecated_option_peer_still_adds_a_baseline(tmp_path):
    data = write_people(tmp_path / "data")
    networks = [write_network(tmp_path / f"{name}.onnx") for name in ("new", "old")]
    result = reidpipe("evaluate-reid", "--data", data, "--baseline", networks[0], "--peer", networks[1], "--json")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["queries"][0]["scores"])[-2:] == ["new", "old"]
    assert "reidpipe: warning: --peer is deprecated, use --baseline" in result.stderr.splitlines()
    assert "--peer" not in reidpipe("evaluate-reid", "--help").output


def test_two_baselines_of_one_name_are_refused(tmp_path):
    baseline = write_network(tmp_path / "baseline.onnx")
    data = write_people(tmp_path / "data")
    result = reidpipe("evaluate-reid", "--data", data, "--baseline", baseline, "--baseline", baseline)
    assert result.exit_code == 4
    assert "baselines: expected distinct file names, got baseline, baseline" in result.output


def write_appearance(path, outputs):
    """A model in our format whose evidence is the brightness of 16 x 8 cells; embedding and mask derive from it."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["channels"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("ReduceMax", ["pooled"], ["bright"], axes=[1], keepdims=0),
        helper.make_node("Sigmoid", ["bright"], ["evidence"]),
        helper.make_node("ReduceMean", ["evidence"], ["embedding"], axes=[1], keepdims=0),
        helper.make_node("Sigmoid", ["embedding"], ["mask"]),
    ]
    shapes = {"embedding": ["batch", 8], "mask": ["batch", 8], "evidence": ["batch", 16, 8]}
    graph = helper.make_graph(
        nodes,
        "appearance",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 256, 128, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"kind": KIND, "format_version": FORMAT_VERSION})
    onnx.save(model, str(path))
    return path


def test_explain_needs_a_model_with_evidence(tmp_path):
    images = sorted((write_people(tmp_path / "data") / "query").iterdir())
    weights = write_appearance(tmp_path / "blind.onnx", ["embedding", "mask"])
    result = reidpipe("explain", *images, "--out", tmp_path / "sheet.png", "--weights", weights)
    assert result.exit_code == 4
    assert "blind.onnx: this model has no output evidence" in result.output
    result = reidpipe("explain", tmp_path / "none.png", "--out", tmp_path / "sheet.png")
    assert result.exit_code == 2
    assert "none.png: no such image" in result.output


def test_explain_draws_a_sheet(tmp_path):
    weights = write_appearance(tmp_path / "explaining.onnx", ["embedding", "mask", "evidence"])
    images = sorted((write_people(tmp_path / "data") / "query").iterdir())
    sheet = tmp_path / "new" / "sheet.png"
    result = reidpipe("explain", *images, "--out", sheet, "--weights", weights)
    assert result.exit_code == 0, result.output
    assert f"evidence maps: {sheet}" in result.output
    assert cv2.imread(str(sheet)).shape[1] > 2 * 2 * 160
