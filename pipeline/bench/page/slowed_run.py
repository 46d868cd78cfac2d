"""How much users of the page slow a run down that writes into the same database."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from ...config.loader import load_config
from ...errors import SourceError
from .users import MAIN, copied, cpu_seconds, first_requests, served, users_at


@dataclass(frozen=True, slots=True)
class RunSpeed:
    """Frames per second of a whole run into a database whose page is served, without and with users.

    Attributes:
        alone, watched: frames per second of each round, while nobody looks, and with users.
        requests: answered per second.
        server_cores, users_cores: processor seconds per second of the page's server, and of this benchmark's users, who
            would have machines of their own.
    """

    alone: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    server_cores: list[float] = field(default_factory=list)
    users_cores: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How fast a run with users is, of one without, by the medians."""
        return float(np.median(self.watched) / np.median(self.alone))


def benchmark_run(
    path: Path, config_path: Path, photo: bytes, users: int, think_seconds: float, rounds: int, every: int
) -> RunSpeed:
    """Run a config into a database whose page is served, with and without users at the page of run 1, in turns.

    Args:
        path: the database, of which a copy is used.
        config_path: the config; its own database is not used.
        photo, users, think_seconds: as of `page.benchmark_page`.
        rounds: runs of each kind.
        every: the runs analyse every N-th frame, which makes them as much shorter.

    Raises:
        ConfigError: the config has mistakes.
        OutputError: the server does not start.
        SourceError: a run fails.
    """
    found = RunSpeed()
    with tempfile.TemporaryDirectory() as folder:
        day, own = copied(path, Path(folder)), Path(folder) / "config.yaml"
        config = load_config(config_path)
        thinned = {"every": every, "fps": None}
        config = config.model_copy(update={"database": str(day), "cameras": {
            name: camera.model_copy(update=thinned) for name, camera in config.cameras.items()}})
        own.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
        with served(day) as (port, token, process):
            first_requests(port, token, photo)
            for number in range(rounds):
                for watched in (number % 2 == 1, number % 2 == 0):  # so that a machine that warms up favours neither
                    if not watched:
                        found.alone.append(_run_fps(own))
                        continue
                    began, server, users_own = time.perf_counter(), cpu_seconds(process), time.process_time()
                    with users_at(port, token, photo, users, think_seconds) as times:
                        found.watched.append(_run_fps(own))
                        took = time.perf_counter() - began
                        found.requests.append(sum(map(len, times.seconds.values())) / took)
                        found.server_cores.append((cpu_seconds(process) - server) / took)
                        found.users_cores.append((time.process_time() - users_own) / took)
    return found


def _run_fps(config: Path) -> float:
    """Frames per second of a run, over all cameras."""
    command = [sys.executable, "-c", MAIN, "run", "--cameras", str(config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SourceError(f"the run for the benchmark fails: {done.stderr.strip()}")
    outcome = json.loads(done.stdout)
    return float(sum(one["analysed"] for one in outcome["cameras"]) / outcome["seconds"])
