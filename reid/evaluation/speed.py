"""Measure the speed of the embedder and its baselines: crops per second in batches of eight, interleaved."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..embedder import Embedder
from .baselines import BATCH_CROPS, Baseline

ROUNDS = 5
ROUND_SECONDS = 0.5


@dataclass(frozen=True)
class Speed:
    """The speed of one network.

    Attributes:
        name: the network.
        crops_per_second: median over the rounds.
        ratio: speed relative to the first baseline, median of the ratios within each round.
    """

    name: str
    crops_per_second: float
    ratio: float


def measure_speeds(
    name: str,
    embedder: Embedder,
    baselines: Sequence[Baseline],
    crops: Sequence[NDArray[np.uint8]],
    rounds: int = ROUNDS,
) -> list[Speed]:
    """Time all networks in rounds, one after the other, so that other load on the machine affects all of them.

    The embedder is timed from crops to embedding and mask, resizing included; a baseline from its prepared input to
    its output.

    Args:
        name: name of the embedder in the result.
        embedder: our model.
        baselines: networks to compare with; ratios refer to the first one, or to `embedder` where there are none.
        crops: at least 8, uint8 (h, w, 3) BGR.
        rounds: number of rounds.

    Returns:
        The embedder's speed, then the baselines'.

    Raises:
        ValueError: fewer than 8 crops.
    """
    batch = list(crops[:BATCH_CROPS])
    if len(batch) < BATCH_CROPS:
        raise ValueError(f"crops: expected at least {BATCH_CROPS}, got {len(batch)}")
    blobs = [baseline.prepare(batch) for baseline in baselines]
    turns: list[Callable[[], object]] = [partial(embedder.embed, batch)]
    turns += [partial(baseline.infer, blob) for baseline, blob in zip(baselines, blobs, strict=True)]
    for turn in turns:
        turn()  # the first call of a network allocates
    rates = np.array([[_crops_per_second(turn) for turn in turns] for _ in range(rounds)])  # (rounds, networks)
    ratios = np.median(rates / rates[:, [min(1, len(baselines))]], axis=0)  # (networks,)
    names = [name, *(baseline.name for baseline in baselines)]
    medians = np.median(rates, axis=0)
    return [Speed(one, float(rate), float(ratio)) for one, rate, ratio in zip(names, medians, ratios, strict=True)]


def _crops_per_second(turn: Callable[[], object]) -> float:
    batches, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < ROUND_SECONDS:
        turn()
        batches += 1
    return batches * BATCH_CROPS / seconds
