"""Compare a benchmark's ratios with those of an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ....reid.disk.files import failing_as
from ...errors import ConfigError

LEAST_OF_EARLIER = 0.9  # ratios of one machine differ by some percent from run to run


def read_ratios(path: Path) -> dict[str, float]:
    """The ratios in what `reidpipe bench --json` printed, or in such a file under `result`, as the documentation has.

    Raises:
        ConfigError: the file cannot be read, or holds no ratios.
    """
    with failing_as(ConfigError, path):
        text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
        ratios = content.get("result", content)["ratios"]
        return {str(what): float(ratio) for what, ratio in ratios.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path}: holds no ratios of `reidpipe bench --json`") from error


def fallen_ratios(earlier: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """One line per ratio that both benchmarks have and that is clearly lower now."""
    return [f"pipeline / {what} is {now[what]:.2f}, before {ratio:.2f}" for what, ratio in earlier.items()
            if what in now and now[what] < LEAST_OF_EARLIER * ratio]
