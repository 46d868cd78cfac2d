"""What is searched for: people in an uploaded picture, or a stored crop, as embeddings."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from ....reid import Appearance, Embedder
from ...config.stages import DetectorConfig
from ...search.query import CROP_ASPECT, CROP_MOST_PX, embedder_of_run
from ...stages.detection.detect import Detector, open_detector
from ...stages.embed import cut
from ...storage.packing import decode_crop
from ...storage.store import Store
from ...types import Image
from ..access.requests import RequestError
from ..database import Database
from ..media.blur import blur_head
from ..media.pictures import webp_file
from ..reads.person import crop_appearance, crop_file

MOST_PHOTOS = 32  # kept in memory until they are searched for; then the oldest go
MOST_PEOPLE = 24  # in one picture, the most confident ones
LEAST_CONFIDENCE = 0.3
THREADS = 2
WARM_UP_CROP = (160, 64, 3)


class PersonInPhoto(TypedDict):
    """Somebody in an uploaded picture: box in shares of its size, and how sure the detector is."""

    x1: float
    y1: float
    x2: float
    y2: float
    confidence: float


class Photo(TypedDict):
    """An uploaded picture: what later requests call it, and the people in it from left to right."""

    photo: str
    width: int
    height: int
    people: list[PersonInPhoto]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An uploaded picture: its crops of people, uint8 (h, w, 3) BGR each, and what searches embedded by run and person.
    """

    crops: list[Image]
    embedded: dict[tuple[int, int], Appearance] = field(default_factory=dict)


class Finder:
    """Searches by photo, and has the models: they are opened with the first search.

    Args:
        blur: whether heads in pictures that are shown are blurred.
        detector: opens the detector of people.
        embedder: opens the appearance model of a run.
    """

    def __init__(
        self, blur: bool = False,
        detector: Callable[[], Detector] = lambda: open_detector(DetectorConfig(), THREADS),
        embedder: Callable[[Store, int], Embedder] = lambda store, run: embedder_of_run(store, run, THREADS),
    ) -> None:
        self._blur, self._open_detector, self._open_embedder = blur, detector, embedder
        self._detector: Detector | None = None
        self._embedders: dict[int, Embedder] = {}
        self._photos: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()  # the models are not for several threads at once

    def take(self, image: Image) -> Photo:
        """Find the people of a picture, uint8 (H, W, 3) BGR, and keep it in memory.

        Raises:
            RequestError: nobody is in it.
        """
        height, width = image.shape[:2]
        with self._lock:
            if self._detector is None:
                self._detector = self._open_detector()
            (found,) = self._detector.detect([image])
        confidence = np.asarray(found.confidence, np.float32)  # (N,)
        sure = np.flatnonzero(confidence >= LEAST_CONFIDENCE)
        sure = sure[np.argsort(-confidence[sure])][:MOST_PEOPLE]
        sure = sure[np.argsort(found.xyxy[sure, 0], kind="stable")]
        xyxy = np.asarray(found.xyxy[sure], np.float32)  # (N, 4)
        if not len(xyxy) and height >= CROP_ASPECT * width and height <= CROP_MOST_PX:
            xyxy = np.array([[0, 0, width, height]], np.float32)
            confidence, sure = np.zeros(1, np.float32), np.zeros(1, np.int64)
        if not len(xyxy):
            raise RequestError("nobody is found in the picture: cut the person out, and give that picture")
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._photos[name] = _Kept([cut(image, box) for box in xyxy])
            while len(self._photos) > MOST_PHOTOS:
                self._photos.popitem(last=False)
        shares = np.clip(xyxy / np.array([width, height] * 2, np.float32), 0, 1)
        return {"photo": name, "width": width, "height": height, "people": [
            {"x1": float(x1), "y1": float(y1), "x2": float(x2), "y2": float(y2), "confidence": float(own)}
            for (x1, y1, x2, y2), own in zip(shares.tolist(), confidence[sure].tolist(), strict=True)]}

    def picture(self, photo: str, person: int) -> bytes:
        """One person of an uploaded picture, as a WebP file.

        Raises:
            RequestError: it is not kept any more, or has no such person.
        """
        crop = self._photo(photo, person).crops[person]
        return webp_file(blur_head(crop) if self._blur else crop)

    def photo_query(self, database: Database, run: int, photo: str, person: int) -> Appearance:
        """The appearance of a person of an uploaded picture, (1, D).

        Raises:
            RequestError: as `picture`.
            StoreError, WeightsError: the run's appearance model is not known, or missing.
        """
        kept, key = self._photo(photo, person), (run, person)
        if key not in kept.embedded:  # cameras and times are narrowed again and again
            kept.embedded[key] = self._embed(database, run, kept.crops[person])
        return kept.embedded[key]

    def crop_query(self, database: Database, run: int, tracklet: int, frame: int) -> Appearance:
        """The appearance of a stored crop, (1, D), as the run stored it, or anew where it was pruned.

        Raises:
            RequestError: there is no such crop.
            StoreError, WeightsError: the run's appearance model is not known, or missing.
        """
        with database.reading() as store:
            stored = crop_appearance(store, run, tracklet, frame)
            content = crop_file(store, run, tracklet, frame)
        if content is not None and stored is not None:
            return stored
        if content is None:
            raise RequestError("no such picture is stored: it may have been pruned")
        return self._embed(database, run, decode_crop(content))

    def evidence(self, database: Database, run: int, crop: Image) -> NDArray[np.float32]:
        """Where the run's model sees the person in a crop, uint8 (h, w, 3) BGR: float32 (16, 8) in [0, 1].

        Raises:
            StoreError, WeightsError: the run's appearance model is not known, or missing, or has no evidence.
        """
        with self._lock:
            return np.asarray(self._open(database, run).evidence([crop])[0], np.float32)

    def open_models(self, database: Database, run: int) -> None:
        """Open and warm up the models that searches in a run need, so that the first search waits for nothing.

        Raises:
            StoreError, WeightsError: the run's appearance model is not known, or missing.
        """
        with self._lock:
            self._open(database, run).embed([np.zeros(WARM_UP_CROP, np.uint8)])
            if self._detector is None:
                self._detector = self._open_detector()
            self._detector.detect([np.zeros(WARM_UP_CROP, np.uint8)])

    def _photo(self, photo: str, person: int) -> _Kept:
        with self._lock:
            kept = self._photos.get(photo)
        if kept is None:
            raise RequestError("the picture is not kept any more: give it again")
        if person >= len(kept.crops):
            raise RequestError(f"the picture has {len(kept.crops)} people")
        return kept

    def _embed(self, database: Database, run: int, crop: Image) -> Appearance:
        with self._lock:
            return self._open(database, run).embed([crop])

    def _open(self, database: Database, run: int) -> Embedder:
        """A run's appearance model; the lock is held. Nobody waits for the lock while reading, so that others can."""
        if run not in self._embedders:
            with database.reading() as store:
                self._embedders[run] = self._open_embedder(store, run)
        return self._embedders[run]
