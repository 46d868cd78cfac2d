"""Is a data set whole?  How many people, images and cameras a split holds, and how many its authors published."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .layouts import LabelledCrop, Layout, Split

DISTRACTOR_PID = 0  # in the gallery, but nobody
UNORDINARY = re.compile(r"[^a-z0-9]")


class Counts(NamedTuple):
    """Of one split; distractors count as images and as nobody."""

    identities: int
    images: int
    cameras: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in zip(self._fields, self, strict=True))


def count_crops(crops: Sequence[LabelledCrop]) -> Counts:
    """Count one split."""
    pids = np.unique([crop.pid for crop in crops])
    return Counts(int(np.sum(pids != DISTRACTOR_PID)), len(crops), len({crop.camid for crop in crops}))


def published_counts(root: Path, layout: Layout, split: Split) -> Counts | None:
    """What the authors published; None where the folder's name tells no published data set.

    Market-1501's layout is everybody's, so its data sets are told by the usual names of their folders.
    """
    name = layout.name
    if name == "market-1501":
        own, parent = (UNORDINARY.sub("", part.lower()) for part in (root.resolve().name, root.resolve().parent.name))
        usual = {"market1501": name, "market1501v150915": name, "occludedduke": "occluded-duke"}
        nested = {("cuhk03np", "labeled"): "cuhk03-labeled", ("cuhk03np", "detected"): "cuhk03-detected"}
        name = nested.get((parent, own), usual.get(own, ""))
    return PUBLISHED.get(name, {}).get(split)


def mismatches(found: Counts, published: Counts) -> list[str]:
    """One line for each number that differs, naming both."""
    return [
        f"{one} {name} where {other} were published"
        for name, one, other in zip(Counts._fields, found, published, strict=True)
        if one != other
    ]


PUBLISHED: Mapping[str, Mapping[Split, Counts]] = {
    # Zheng et al., ICCV 2015; the gallery without its 3,819 junk boxes
    "market-1501": {"train": Counts(751, 12936, 6), "query": Counts(750, 3368, 6), "gallery": Counts(750, 15913, 6)},
    # Miao et al., ICCV 2019
    "occluded-duke": {"train": Counts(702, 15618, 8), "query": Counts(519, 2210, 8), "gallery": Counts(1110, 17661, 8)},
    # Zhuo et al., ICME 2018; cameras are not published, see `layouts.OCCLUDED_CAMID`
    "occluded-reid": {"query": Counts(200, 1000, 1), "gallery": Counts(200, 1000, 1)},
    "p-dukemtmc": {"train": Counts(665, 12927, 2), "query": Counts(634, 2163, 1), "gallery": Counts(634, 9053, 1)},
    # Wei et al., CVPR 2018; the training split with its validation part
    "msmt17": {"train": Counts(1041, 32621, 15), "query": Counts(3060, 11659, 15), "gallery": Counts(3060, 82161, 15)},
    # Zhong et al., CVPR 2017, new protocol; the five pairs of cameras count as one
    "cuhk03-labeled": {"train": Counts(767, 7368, 2), "query": Counts(700, 1400, 2), "gallery": Counts(700, 5328, 2)},
    "cuhk03-detected": {"train": Counts(767, 7365, 2), "query": Counts(700, 1400, 2), "gallery": Counts(700, 5332, 2)},
}
