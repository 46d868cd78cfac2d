"""The types that flow between the stages: frames, observations, crops, tracklets, links, camera reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..reid import Appearance

Image = NDArray[np.uint8]  # (H, W, 3) BGR
TrackKey = tuple[str, int]  # camera name, track id
CameraStatus = Literal["complete", "partial", "failed"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a camera's footage can be continued: after one of its frames.

    Attributes:
        index: of that frame.
        counts: of the footage up to it, see `FootageCounts.state`.
        inside: JSON that only the source understands; empty if it must be read again from its start.
    """

    index: int
    counts: Mapping[str, Any]
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame of one camera.

    Attributes:
        camera: the camera's name in the config.
        index: 0-based number in the camera's footage, counting every frame that could be decoded.
        seconds: UTC epoch seconds, from the stream's own timestamps.
        image: uint8 (H, W, 3) BGR; of a quiet frame, that of the last one that is not.
        place: where the footage can be continued after it; None if its source cannot be.
        quiet: whether it looks like the camera's last frame that is not quiet, so that whoever is there stands here.
    """

    camera: str
    index: int
    seconds: float
    image: Image
    place: Place | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Observations:
    """The tracked people of one frame, one row each; N = 0 if there is nobody.

    Attributes:
        camera: the camera's name.
        frame_index: the frame's index in its camera.
        seconds: UTC epoch seconds of the frame.
        track_ids: int64 (N,), unique within the camera and the run.
        xyxy: float32 (N, 4) pixels, clipped to the image.
        confidence: float32 (N,) in [0, 1]; 0 for boxes that were not detected but interpolated.
        visible: float32 (N,) in [0, 1], estimated share of the box that no nearer person covers.
    """

    camera: str
    frame_index: int
    seconds: float
    track_ids: NDArray[np.int64]
    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    visible: NDArray[np.float32]

    @property
    def interpolated(self) -> NDArray[np.bool_]:
        """Which boxes fill a gap between two detections, bool (N,)."""
        return np.asarray(self.confidence == 0, np.bool_)


@dataclass(frozen=True, slots=True)
class Crop:
    """One crop of one person, chosen to be embedded.

    Attributes:
        frame_index: the frame it was cut from.
        seconds: UTC epoch seconds of that frame.
        quality: in [0, 1]; larger is a better view of the person.
        image: uint8 (h, w, 3) BGR, its thumbnail, not a view of the frame.
    """

    frame_index: int
    seconds: float
    quality: float
    image: Image


@dataclass(frozen=True, slots=True)
class Tracklet:
    """One person in one camera, from the first to the last second they were tracked.

    Attributes:
        camera: the camera's name.
        track_id: 1-based, unique within the camera and the run.
        first_seconds, last_seconds: UTC epoch seconds of the first and last observation.
        observations: number of detected boxes.
        confidence: their mean confidence, in [0, 1].
        appearance: one row, the mask-weighted mean over its crops; no row if no crop was good enough.
        crops: its embedded crops, in time order.
        crop_appearance: one row per crop.
        path: float32 (P, 3): seconds since first_seconds, x and y of the foot point in image pixels; about one row per
            half second.
        floor_path: float32 (P, 3): the same rows with x and y in metres on the floor; None if the camera has no
            homography.
        taken_from: track and frame index: boxes of that track from that frame on, stored while both were thought one
            person, are this tracklet's; None for none.
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
    floor_path: NDArray[np.float32] | None = None
    taken_from: tuple[int, int] | None = None
    confidence: float = 1.0

    @property
    def key(self) -> TrackKey:
        """What identifies the tracklet within a run."""
        return self.camera, self.track_id


@dataclass(frozen=True, slots=True)
class Link:
    """Why a tracklet belongs to an identity.

    Attributes:
        camera, track_id: the tracklet.
        identity: 1-based number of the identity within the run.
        similarity: masked similarity to the identity's most similar other tracklets, in [-1, 1]; None for its first
            tracklet.
        shared_mask: share of the mask that is reliable on both sides, in [0, 1]; None for its first tracklet.
        gap_seconds: time since the identity was last seen in any camera; negative while two cameras see it at once;
            None for its first tracklet.
        by: "model", or "person" if somebody corrected it.
        probability: that the link is right, in [0, 1]; None for the identity's first tracklet.
    """

    camera: str
    track_id: int
    identity: int
    similarity: float | None
    shared_mask: float | None
    gap_seconds: float | None
    by: str = "model"
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class CameraReport:
    """How one camera's footage was used: decoded = analysed + thinned + dropped.

    Attributes:
        camera: the camera's name.
        decoded: frames that could be decoded.
        analysed: frames that went through detection and tracking.
        thinned: frames left out on purpose (`every`, `fps`).
        dropped: frames decoded but not analysed because the run ended or, live, because a newer frame came.
        damaged: packets or frames that could not be decoded.
        status: "complete"; "partial" if the footage was damaged or the run was interrupted; "failed" if nothing could
            be decoded.
        error: one line; empty if complete.
    """

    camera: str
    decoded: int = 0
    analysed: int = 0
    thinned: int = 0
    dropped: int = 0
    damaged: int = 0
    status: CameraStatus = "complete"
    error: str = ""


@dataclass(frozen=True, slots=True)
class FloorPlan:
    """A picture of the floor from above.

    Attributes:
        image: a WebP file.
        width, height: its pixels.
        pixels_to_floor: 3x3, affine, from its pixels (x, y, 1) to metres.
    """

    image: bytes
    width: int
    height: int
    pixels_to_floor: list[list[float]]
