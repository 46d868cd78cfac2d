"""Take a person out of pictures, and embed them as one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from ...reid import Appearance, Embedder
from ...reid.disk.files import read_image
from ...trackers import Detections
from ..config.stages import AppearanceConfig
from ..errors import SourceError, StoreError
from ..stages.detection.detect import Detector
from ..stages.embed import CropEmbedder, cut, open_embedder
from ..storage.runs import run_config
from ..storage.store import Store
from ..types import Image

CROP_SHARE = 0.5  # of a picture that one box covers: then the picture is a crop of one person
CROP_ASPECT = 1.5  # height over width of a picture without a box that is taken for a crop all the same
CROP_MOST_PX = 800  # its height; a larger picture without a box shows no person


@dataclass(frozen=True, slots=True)
class QueryPicture:
    """The person of one picture.

    Attributes:
        path: the picture's file.
        crop: uint8 (h, w, 3) BGR, the person.
        taken: how it was found, in a few words.
    """

    path: Path
    crop: Image
    taken: str


def take_person(path: Path, detector: Detector, person: int | None = None) -> QueryPicture:
    """Find the person of a picture: a crop of one, or a picture of a scene.

    Args:
        path: an image file.
        detector: of people.
        person: which one, from the left, 1-based, where there are several.

    Raises:
        ImageError: it cannot be read.
        SourceError: nobody is in it, or several people and no choice, or fewer than `person`.
    """
    image = read_image(path)
    height, width = image.shape[:2]
    (found,) = detector.detect([image])
    if not len(found):
        if height >= CROP_ASPECT * width and height <= CROP_MOST_PX:
            return QueryPicture(path, image, "the whole picture")
        raise SourceError(f"{path}: nobody is found in it: cut the person out, and give that picture")
    share = (found.xyxy[:, 2:] - found.xyxy[:, :2]).prod(1) / (height * width)  # (N,)
    if person is None and share.max() >= CROP_SHARE:
        return QueryPicture(path, cut(image, _boxes(found)[int(share.argmax())]), "the person that fills it")
    if person is None and len(found) > 1:
        raise SourceError(f"{path}: {len(found)} people are in it: say which one with --person, counted from the left, "
                          "or cut the person out")
    if person is not None and person > len(found):
        raise SourceError(f"{path}: --person {person}: only {len(found)} people are found in it")
    from_left = np.argsort(found.xyxy[:, 0], kind="stable")
    row = int(from_left[(person or 1) - 1])
    return QueryPicture(path, cut(image, _boxes(found)[row]), f"person {(person or 1)} of {len(found)} from the left")


def embedder_of_run(store: Store, run: int, threads: int) -> Embedder:
    """The appearance model that a run was made with, so that its embeddings can be compared.

    Raises:
        WeightsError: it is missing, or damaged.
        StoreError: the run's config does not name one.
    """
    try:
        weights = str(from_json(run_config(store, run))["appearance"]["weights"])
    except (KeyError, TypeError) as error:
        raise StoreError(f"{store.name}: the config of run {run} names no appearance model: run it again") from error
    return open_embedder(AppearanceConfig(weights=weights), threads)


def embed_pictures(pictures: Sequence[QueryPicture], embedder: CropEmbedder) -> Appearance:
    """One row per picture, (N, D)."""
    return embedder.embed([one.crop for one in pictures])


def _boxes(found: Detections) -> NDArray[np.float32]:
    return np.asarray(found.xyxy, np.float32)
