"""Floating-point numbers of the networks: bfloat16 only where a processor is faster with it."""

from pathlib import Path

import openvino
import pytest

from reidpipe.pipeline.config.stages import DetectorConfig
from reidpipe.pipeline.stages.detection.detect import BUNDLED, BUNDLED_INT8
from reidpipe.pipeline.stages.detection.openvino_detector import OnnxDetector, is_quantised, read_network
from reidpipe.reid.embedder import Embedder
from reidpipe.reid.engines import float_type

INTEL, AMD = "vendor_id : GenuineIntel\nflags : fpu avx512f {}\n", "vendor_id : AuthenticAMD\nflags : fpu avx512f {}\n"


@pytest.mark.parametrize(
    ("cpu_info", "slow"),
    [
        (INTEL.format("avx512_bf16 avx512_fp16"), True),
        (INTEL.format("avx512_bf16 amx_bf16 amx_tile"), False),
        (INTEL.format("avx512_vnni"), False),
        (AMD.format("avx512_bf16"), False),
        ("", False),
    ],
)
def test_bfloat16_is_slow_on_intel_processors_without_amx(cpu_info, slow):
    assert float_type.slow_bfloat16(cpu_info) is slow


@pytest.fixture
def slow_bfloat16(tmp_path: Path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(INTEL.format("avx512_bf16"))
    monkeypatch.setattr(float_type, "CPU_INFO", tmp_path / "cpuinfo")
    float_type._cpu_info.cache_clear()
    yield
    float_type._cpu_info.cache_clear()


@pytest.mark.usefixtures("slow_bfloat16")
def test_float_networks_then_run_in_float32(monkeypatch):
    options = []
    compile_model = openvino.Core.compile_model
    monkeypatch.setattr(
        openvino.Core, "compile_model",
        lambda core, model, device, config: options.append(config) or compile_model(core, model, device, config))
    embedder = Embedder(threads=1, arithmetic="float")
    embedder._network._compile()
    detectors = [OnnxDetector(read_network(one["person"]), DetectorConfig(), 1) for one in (BUNDLED, BUNDLED_INT8)]
    for detector in detectors:
        detector._network(64, 64)
    assert [one.get("INFERENCE_PRECISION_HINT") for one in options] == ["f32", "f32", None]
    assert [embedder.arithmetic, detectors[0].arithmetic] == ["float32", "float32"]
    assert detectors[1].arithmetic.startswith("int8 and ")


def test_the_bundled_detectors_are_told_apart():
    found = [is_quantised(read_network(files["person"])) for files in (BUNDLED, BUNDLED_INT8)]
    assert found == [False, True]


@pytest.mark.parametrize(("machine", "expected"), [("x86_64", True), ("aarch64", None)])
def test_appearance_models_compute_without_denormals_where_these_are_slow(monkeypatch, machine, expected):
    monkeypatch.setattr(float_type.platform, "machine", lambda: machine)
    assert Embedder(threads=1)._network._options.get("CPU_DENORMALS_OPTIMIZATION") is expected
