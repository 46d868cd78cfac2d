"""What flows between the stages: frames, tracklets, links."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..reid import Appearance

Image = NDArray[np.uint8]  # (H, W, 3) BGR


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture of one camera.

    Attributes:
        camera: the camera's name in the config.
        index: 0-based number of the picture in its camera's footage, counting every decodable picture.
        seconds: UTC epoch seconds, from the stream's own timestamps.
        image: uint8 (H, W, 3) BGR.
    """

    camera: str
    index: int
    seconds: float
    image: Image


@dataclass(frozen=True, slots=True)
class Observations:
    """The tracked people of one frame, row by row; nobody in the picture is N = 0.

    Attributes:
        camera: the camera's name.
        frame_index: the frame's index in its camera.
        seconds: UTC epoch seconds of the frame.
        track_ids: int64 (N,), unique within the camera and the run.
        xyxy: float32 (N, 4) pixels, clipped to the image.
        confidence: float32 (N,) in [0, 1].
        visible: float32 (N,) in [0, 1], the estimated share of the box that nobody nearer covers.
    """

    camera: str
    frame_index: int
    seconds: float
    track_ids: NDArray[np.int64]
    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    visible: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Crop:
    """One picture of one person, chosen to be embedded.

    Attributes:
        frame_index: the frame it was cut from.
        seconds: UTC epoch seconds of that frame.
        quality: in [0, 1]; larger is a better view of the person.
        image: uint8 (h, w, 3) BGR, a copy of its own.
    """

    frame_index: int
    seconds: float
    quality: float
    image: Image


@dataclass(slots=True)
class Tracklet:
    """One person in one camera, from the first to the last second they were followed.

    Attributes:
        camera: the camera's name.
        track_id: the tracker's number, unique within the camera and the run.
        first_seconds, last_seconds: UTC epoch seconds of the first and last observation.
        observations: how many boxes it has.
        appearance: one row, the mask-weighted mean over its crops; no row if no crop was good enough.
        crops: its embedded crops, in time order; crop_appearance holds their rows.
        path: float32 (T, 3): seconds since first_seconds, floor x and y in metres (or the foot point in
            pixels where the camera has no homography), about one row per half second.
    """

    camera: str
    track_id: int
    first_seconds: float
    last_seconds: float
    observations: int
    appearance: Appearance
    crops: list[Crop] = field(default_factory=list)
    crop_appearance: Appearance | None = None
    path: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))

    @property
    def key(self) -> tuple[str, int]:
        """The tracklet's name within a run: (camera, track id)."""
        return self.camera, self.track_id


@dataclass(frozen=True, slots=True)
class Link:
    """Why a tracklet belongs to an identity.

    Attributes:
        camera, track_id: the tracklet.
        identity: 1-based number of the identity within the run.
        similarity: masked similarity to the identity's other tracklets in [-1, 1]; None for its first tracklet.
        shared_mask: share of the mask that both sides trust, in [0, 1]; None for its first tracklet.
        gap_seconds: time since the identity was last seen anywhere; negative while seen by two cameras at once;
            None for its first tracklet.
        by: "model", or "person" where somebody corrected it.
    """

    camera: str
    track_id: int
    identity: int
    similarity: float | None
    shared_mask: float | None
    gap_seconds: float | None
    by: str = "model"


@dataclass(slots=True)
class CameraReport:
    """How one camera's footage was used; the counts always add up.

    Attributes:
        decoded: pictures that could be decoded.
        analysed: pictures that went through detection and tracking.
        thinned: pictures left out on purpose (`every`, `fps`).
        dropped: pictures lost because a live camera was faster than the machine.
        damaged: packets that could not be decoded.
        status: "complete", "partial" (broke in the middle or was interrupted) or "failed" (nothing decoded).
        error: one line, empty when complete.
    """

    camera: str
    decoded: int = 0
    analysed: int = 0
    thinned: int = 0
    dropped: int = 0
    damaged: int = 0
    status: str = "complete"
    error: str = ""
