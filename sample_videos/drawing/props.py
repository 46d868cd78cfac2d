"""What the stage draws: light, film, people on the GPU, and the lit, empty view behind them."""

from __future__ import annotations

from dataclasses import dataclass, field

import moderngl
import numpy as np
from numpy.typing import NDArray

from ..stores.cameras import Camera

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Light:
    """Colour of lamps and of what the floor throws back (linear RGB), and how strongly the nearest lamps model."""

    sky: tuple[float, float, float] = (1.0, 0.98, 0.94)
    ground: tuple[float, float, float] = (0.34, 0.33, 0.31)
    lamps: float = 0.55


@dataclass(frozen=True)
class Film:
    """What the camera makes of light: gain per channel (exposure times white balance) and its flaws."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignette: float = 0.45
    grain: float = 0.012
    contrast: float = 0.25
    soft: float = 0.0


@dataclass
class Actor:
    """A person on the GPU and where it stands: bones (17, 4, 4) of this frame, place (4, 4) to world."""

    geometry: moderngl.VertexArray
    mask: moderngl.VertexArray
    outfit: Floats
    buffers: tuple[moderngl.Buffer, moderngl.Buffer]
    bones: Floats = field(default_factory=lambda: np.zeros((17, 4, 4), np.float32))
    place: Floats = field(default_factory=lambda: np.eye(4, dtype=np.float32))

    def release(self) -> None:
        """Free the buffers."""
        for held in (self.geometry, self.mask, *self.buffers):
            held.release()

    def stand(self, bones: Floats, x: float, y: float, heading: float) -> None:
        """Put the body at a floor point, heading in radians (0 faces +y, positive turns left)."""
        self.bones = bones
        c, s = np.cos(heading), np.sin(heading)
        self.place = np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, 0], [0, 0, 0, 1]], np.float32)


@dataclass
class Backdrop:
    """A lit, empty view: radiance (RGBA16F) and world position with depth (RGBA32F), one texel a pixel."""

    camera: Camera
    light: Light
    radiance: moderngl.Texture
    place: moderngl.Texture

    def release(self) -> None:
        """Free the textures."""
        self.radiance.release()
        self.place.release()
