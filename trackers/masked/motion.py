"""Motion of boxes: a Kalman filter of constant velocity, for all tracks at once and frames at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POSITION_NOISE = 1 / 20  # standard deviation of a detected side, in heights of the box, as in SORT's descendants
SIZE_NOISE = 1 / 10  # width and height change when a part of the person is hidden
START_SPEED = 0.5  # standard deviation of a new track's velocity, heights per second
ACCELERATION = 0.6  # of a person, heights per second and root second
REPLAY_SECONDS = 0.08  # between two boxes that fill a gap in the motion
SIZE_CHANGE = 0.15  # of width and height, heights per second and root second


@dataclass(slots=True)
class Motion:
    """State of N tracks: centre x, y, width and height with their velocities.

    The four are filtered independently of each other (Kalman, 1960), with white acceleration as process noise, so that
    a step may take any time.

    Attributes:
        mean: float64 (N, 4, 2), value in pixels and velocity in pixels per second.
        covariance: float64 (N, 4, 2, 2).
    """

    mean: Floats
    covariance: Floats

    @classmethod
    def start(cls, xyxy: NDArray[np.floating]) -> Motion:
        """Of new tracks at boxes (N, 4), standing still."""
        measured = _centre_size(xyxy)  # (N, 4)
        noise = _scaled((POSITION_NOISE, SIZE_NOISE), measured)
        speed = _scaled((START_SPEED, START_SPEED / 4), measured)
        covariance = np.zeros((len(measured), 4, 2, 2))
        covariance[..., 0, 0], covariance[..., 1, 1] = noise**2, speed**2
        return cls(np.stack([measured, np.zeros_like(measured)], -1), covariance)

    @property
    def xyxy(self) -> Floats:
        """The boxes, (N, 4) pixels."""
        centre, half = self.mean[:, :2, 0], self.mean[:, 2:, 0].clip(1) / 2
        return np.concatenate([centre - half, centre + half], 1)

    def predict(self, seconds: float) -> Motion:
        """The state some seconds later."""
        step = np.array([[1, seconds], [0, 1]])
        spectrum = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        strength = _scaled((ACCELERATION, SIZE_CHANGE), self.mean[..., 0]) ** 2  # (N, 4)
        return Motion(
            self.mean @ step.T, step @ self.covariance @ step.T + strength[..., None, None] * spectrum)

    def correct(self, xyxy: NDArray[np.floating], confidence: NDArray[np.floating]) -> Motion:
        """The state after boxes (N, 4) were observed; boxes of low confidence (N,) count less (Du et al., 2021)."""
        measured = _centre_size(xyxy)
        noise = _scaled((POSITION_NOISE, SIZE_NOISE), self.mean[..., 0]) * (2 - confidence)[:, None]  # (N, 4)
        gain = self.covariance[..., 0] / (self.covariance[..., 0, 0] + noise**2)[..., None]  # (N, 4, 2)
        mean = self.mean + gain * (measured - self.mean[..., 0])[..., None]
        return Motion(mean, self.covariance - gain[..., None] * self.covariance[..., None, 0, :])

    def through(self, first: NDArray[np.floating], last: NDArray[np.floating], seconds: float) -> Motion:
        """The state after a gap, as if the boxes between two, (4,) each, had been observed (Cao et al., CVPR 2023)."""
        steps = max(round(seconds / REPLAY_SECONDS), 1)
        motion = self
        for step in range(1, steps):
            between = first + (last - first) * (step / steps)
            motion = motion.predict(seconds / steps).correct(between[None], np.ones(1))
        return motion.predict(seconds / steps)

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> Motion:
        return Motion(self.mean[rows], self.covariance[rows])


def join(motions: list[Motion]) -> Motion:
    """All states as one, in order."""
    return Motion(
        np.concatenate([np.zeros((0, 4, 2)), *(one.mean for one in motions)]),
        np.concatenate([np.zeros((0, 4, 2, 2)), *(one.covariance for one in motions)]))


def _centre_size(xyxy: NDArray[np.floating]) -> Floats:
    low, high = np.asarray(xyxy[:, :2], np.float64), np.asarray(xyxy[:, 2:], np.float64)
    return np.concatenate([(low + high) / 2, high - low], 1)  # (N, 4)


def _scaled(share: tuple[float, float], measured: Floats) -> Floats:
    """Noise of position and size in pixels, (N, 4), for shares of the height of boxes (N, 4)."""
    height = measured[:, 3:].clip(1)
    return np.asarray(height * np.repeat(share, 2), np.float64)
