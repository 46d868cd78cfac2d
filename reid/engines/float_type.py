"""Choose the floating-point type in which OpenVINO computes, tell it, and leave out its slowest numbers."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino

CPU_INFO = Path("/proc/cpuinfo")  # of Linux; elsewhere OpenVINO decides
FLOAT_TYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


def fastest_float() -> dict[str, str]:
    """Options for networks of floating-point numbers: float32 where OpenVINO's own choice is the slower one.

    It takes bfloat16 wherever a processor has instructions for it. On Intel's without AMX, as virtual machines often
    show them, that takes 1.6 times as long as float32.
    """
    return {"INFERENCE_PRECISION_HINT": "f32"} if slow_bfloat16(_cpu_info()) else {}


def without_denormals() -> dict[str, bool]:
    """Options that make numbers below 1.2e-38 zero: processors of x86 take a multiple of the time to compute with them.

    Small depthwise convolutions meet many: with this, the bundled `fast` takes less than half the time in float32.
    """
    return {"CPU_DENORMALS_OPTIMIZATION": True} if platform.machine() in ("x86_64", "AMD64") else {}


def arithmetic_of(network: openvino.CompiledModel, int8: bool) -> str:
    """What a compiled network computes with, such as "float32" or "int8 and bfloat16".

    Args:
        network: as OpenVINO compiled it.
        int8: whether its large convolutions are computed with 8-bit integers.
    """
    name: str = network.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return "int8 and " * int8 + FLOAT_TYPES.get(name, name)


def slow_bfloat16(cpu_info: str) -> bool:
    """Whether a processor has instructions for bfloat16 that do not pay, by what /proc/cpuinfo says of it."""
    words = set(cpu_info.split())
    return {"GenuineIntel", "avx512_bf16"} <= words and "amx_bf16" not in words


@cache
def _cpu_info() -> str:
    try:
        return CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
