"""A pinhole camera without lens distortion: projection of floor points into the image, and back.

World: x right, y into the store, z up, metres. Image: x right, y down, pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
NEAR, FAR = 0.25, 40.0


@dataclass(frozen=True)
class Camera:
    """A fixed camera: position in metres, heading in degrees (0 looks along +y, positive turns left), pitch down."""

    x: float
    y: float
    height: float
    heading: float
    pitch: float
    field_of_view: float = 72.0
    width: int = 960
    frame_height: int = 540

    @property
    def eye(self) -> Doubles:
        """Position (3,), metres."""
        return np.array([self.x, self.y, self.height])

    def rotation(self) -> Doubles:
        """World to camera (x right, y down, z forward), (3, 3)."""
        a, b = np.radians(self.heading), np.radians(self.pitch)
        forward = np.array([-np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), -np.sin(b)])
        right = np.array([np.cos(a), np.sin(a), 0.0])
        return np.stack([right, np.cross(forward, right), forward])

    def intrinsics(self) -> Doubles:
        """(3, 3) in pixels."""
        focal = self.width / 2 / np.tan(np.radians(self.field_of_view) / 2)
        return np.array([[focal, 0, self.width / 2], [0, focal, self.frame_height / 2], [0, 0, 1]])

    def project(self, points: NDArray[np.floating]) -> Doubles:
        """World points (N, 3) to pixels and depth (N, 3): x, y, metres along the axis."""
        seen = (np.asarray(points, float) - self.eye) @ self.rotation().T
        image = seen @ self.intrinsics().T
        return np.column_stack([image[:, :2] / image[:, 2:], seen[:, 2]])

    def view_projection(self, window: tuple[float, float, float, float] | None = None) -> NDArray[np.float32]:
        """World to clip space (4, 4); row 0 of the target is the top of the image. window: x1, y1, x2, y2 pixels."""
        x1, y1, x2, y2 = window or (0.0, 0.0, float(self.width), float(self.frame_height))
        k = self.intrinsics()
        scale_x, scale_y = 2 / (x2 - x1), 2 / (y2 - y1)
        clip = np.zeros((4, 4))
        clip[0] = [k[0, 0] * scale_x, 0, (k[0, 2] - x1) * scale_x - 1, 0]
        clip[1] = [0, k[1, 1] * scale_y, (k[1, 2] - y1) * scale_y - 1, 0]
        clip[2] = [0, 0, (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)]
        clip[3, 2] = 1
        view = np.eye(4)
        view[:3, :3] = self.rotation()
        view[:3, 3] = -self.rotation() @ self.eye
        return np.asarray(clip @ view, np.float32)

    def image_to_floor(self) -> Doubles:
        """Homography (3, 3) from pixels (x, y, 1) to floor metres (x, y, 1), scaled so that its last entry is 1."""
        r = self.rotation()
        floor_to_image = self.intrinsics() @ np.column_stack([r[:, 0], r[:, 1], -r @ self.eye])
        inverse = np.linalg.inv(floor_to_image)
        return np.asarray(inverse / inverse[2, 2])
