"""Light an empty store once per camera: many shadow maps from the bright ceiling, averaged into soft light."""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

from ..stores.cameras import Camera
from ..stores.labels import product_atlas
from ..stores.store import Store
from .props import Backdrop, Light
from .stage import Stage, source
from .uniforms import set_arrays, set_values

Floats = NDArray[np.float32]
_SHADOW_SIZE = 1024


def lamp_directions(count: int, seed: int) -> Floats:
    """Directions (count, 3) to the ceiling, cosine-weighted and stratified, at most 72 degrees off the vertical."""
    rng = np.random.default_rng([seed, 5])
    rank = (np.arange(count) + rng.random(count)) / count
    sine = np.sqrt(rank) * np.sin(np.radians(72))
    turn = 2 * np.pi * ((np.arange(count) * 0.618034 + rng.random()) % 1.0)
    return np.stack([sine * np.cos(turn), sine * np.sin(turn), np.sqrt(1 - sine**2)], 1).astype(np.float32)


def lamp_projection(direction: Floats, size: tuple[float, float], height: float) -> Floats:
    """Orthographic matrix (4, 4) of a far lamp that covers the whole store."""
    forward = -direction
    right = np.cross(forward, (0.0, 1.0, 0.05))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    axes = np.stack([right, down, forward])
    corners = np.array([[x, y, z] for x in (0, size[0]) for y in (0, size[1]) for z in (0, height)])
    seen = corners @ axes.T
    low, high = seen.min(0) - 0.1, seen.max(0) + 0.1
    matrix = np.eye(4)
    matrix[:3, :3] = axes * (2 / (high - low))[:, None]
    matrix[:3, 3] = -(high + low) / (high - low)
    return matrix.astype(np.float32)


class Studio:
    """A store's geometry on the GPU, able to make lit backdrops for any camera."""

    def __init__(self, stage: Stage, store: Store, seed: int) -> None:
        self.stage, self.store, self.seed = stage, store, seed
        gl = stage.gl
        vertices, faces, self._casting = store.build(seed)
        self._vertices, self._faces = gl.buffer(vertices.tobytes()), gl.buffer(faces.tobytes())
        self._program = gl.program(source("place.vert"), source("place.frag"))
        self._array = gl.vertex_array(
            self._program,
            [(self._vertices, "3f 3f 2f 3f 2f", "point", "normal", "texcoord", "tint", "material")],
            self._faces,
        )
        self._shade = gl.program(source("place.vert"), source("shadow.frag"))
        self._shadow_array = gl.vertex_array(self._shade, [(self._vertices, "3f 40x", "point")], self._faces)
        self._depth = gl.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        self._depth.compare_func = "<="
        self._depth.repeat_x = self._depth.repeat_y = False
        self._shadow = gl.framebuffer(depth_attachment=self._depth)
        self._labels = stage.texture_array(product_atlas(seed))
        self._labels.anisotropy = 8.0  # signs and shelves are seen at a slant

    def release(self) -> None:
        """Free what the store holds on the GPU."""
        for held in (
            self._array,
            self._shadow_array,
            self._vertices,
            self._faces,
            self._program,
            self._shade,
            self._shadow,
            self._depth,
            self._labels,
        ):
            held.release()

    def backdrop(self, camera: Camera, light: Light, samples: int = 64, finer: int = 2) -> Backdrop:
        """Light the empty view with `samples` lamps, at `finer` times the camera's resolution, then shrink."""
        gl = self.stage.gl
        size = (camera.width * finer, camera.frame_height * finer)
        albedo, facing, place, buffer = self._geometry(camera, size)
        lit = gl.texture(size, 4, dtype="f4")
        lamp_target = gl.framebuffer([lit])
        lamp_target.clear()
        for direction in lamp_directions(samples, self.seed):
            self._add_lamp(lamp_target, facing, place, direction, samples)
        radiance = self._compose(camera, light, albedo, facing, place, lit)
        small = gl.texture(
            (camera.width, camera.frame_height),
            4,
            _shrunk(radiance, size, finer).astype(np.float16).tobytes(),
            dtype="f2",
        )
        own_albedo, own_facing, own_place, own_buffer = self._geometry(camera, (camera.width, camera.frame_height))
        own_place.filter = (moderngl.NEAREST, moderngl.NEAREST)
        small.repeat_x = small.repeat_y = own_place.repeat_x = own_place.repeat_y = False
        for held in (albedo, facing, place, buffer, lit, lamp_target, own_albedo, own_facing, own_buffer):
            held.release()
        return Backdrop(camera, light, small, own_place)

    def _geometry(
        self, camera: Camera, size: tuple[int, int]
    ) -> tuple[moderngl.Texture, moderngl.Texture, moderngl.Texture, moderngl.Framebuffer]:
        gl = self.stage.gl
        albedo, facing, place = (
            gl.texture(size, 4, dtype="f2"),
            gl.texture(size, 4, dtype="f2"),
            gl.texture(size, 4, dtype="f4"),
        )
        buffer = gl.framebuffer([albedo, facing, place], gl.depth_renderbuffer(size))
        buffer.use()
        buffer.clear(depth=1.0)
        self._labels.use(0)
        program, (a, b, tile, gloss) = self._program, self.store.floor
        set_values(program, labels=0)
        set_values(program, floor_a=(*(np.array(a) ** 2.2).tolist(), tile))
        set_values(program, floor_b=(*(np.array(b) ** 2.2).tolist(), gloss))
        set_arrays(program, view_projection=camera.view_projection())
        self._array.render()
        for texture in (albedo, facing, place):
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        return albedo, facing, place, buffer

    def _add_lamp(
        self,
        target: moderngl.Framebuffer,
        facing: moderngl.Texture,
        place: moderngl.Texture,
        direction: Floats,
        samples: int,
    ) -> None:
        gl = self.stage.gl
        projection = lamp_projection(direction, self.store.size, 2.6)
        self._shadow.use()
        self._shadow.clear(depth=1.0)
        set_arrays(self._shade, view_projection=projection)
        self._shadow_array.render(vertices=self._casting * 3)
        target.use()
        program, quad = self.stage.quad("lamp.frag")
        for unit, (name, texture) in enumerate((("place", place), ("facing", facing), ("depth", self._depth))):
            texture.use(unit)
            set_values(program, **{name: unit})
        strength = 1.0 / (samples * max(float(direction[2]), 0.2))
        set_values(program, window=(0.0, 0.0, 1.0, 1.0), direction=tuple(direction.tolist()), strength=strength)
        set_arrays(program, lamp_projection=projection)
        gl.disable(moderngl.DEPTH_TEST)
        gl.enable(moderngl.BLEND)
        gl.blend_func = moderngl.ONE, moderngl.ONE
        quad.render(moderngl.TRIANGLE_STRIP)
        gl.disable(moderngl.BLEND)
        gl.enable(moderngl.DEPTH_TEST)

    def _compose(
        self,
        camera: Camera,
        light: Light,
        albedo: moderngl.Texture,
        facing: moderngl.Texture,
        place: moderngl.Texture,
        lit: moderngl.Texture,
    ) -> Floats:
        program, quad = self.stage.quad("compose.frag")
        target = self.stage.target("wide", *albedo.size)
        target.use()
        for unit, (name, texture) in enumerate(
            (("albedo", albedo), ("facing", facing), ("place", place), ("light", lit))
        ):
            texture.use(unit)
            set_values(program, **{name: unit})
        set_values(program, window=(0.0, 0.0, 1.0, 1.0), sky=light.sky, ground=light.ground)
        set_values(program, eye=tuple(camera.eye), ceiling=self.store.ceiling)
        self.stage.gl.disable(moderngl.DEPTH_TEST)
        quad.render(moderngl.TRIANGLE_STRIP)
        self.stage.gl.enable(moderngl.DEPTH_TEST)
        return np.frombuffer(target.read(components=4, dtype="f4"), np.float32)


def _shrunk(radiance: Floats, size: tuple[int, int], finer: int) -> Floats:
    """Mean of finer x finer texels, (H, W, 4); bright lamps are clipped so that their edges stay smooth."""
    wide = radiance.reshape(size[1] // finer, finer, size[0] // finer, finer, 4)
    return np.asarray(wide.clip(max=4.0).mean((1, 3)), np.float32)
