"""Draw frames with OpenGL: a store lit once per camera, and people drawn over it frame by frame.

All targets have row 0 at the top of the image, so what is read back needs no flip. Images leave as uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import moderngl
import numpy as np
from numpy.typing import NDArray

from ..people.body import Mesh
from ..people.outfits import Outfit
from ..stores.cameras import Camera
from ..stores.labels import print_atlas
from .contacts import SHADOW_REACH, around, body_balls, lamps_near
from .props import Actor, Backdrop, Film
from .uniforms import set_arrays, set_values

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Window = tuple[float, float, float, float]
Area = tuple[int, int, int, int]
_SHADERS = Path(__file__).parent / "shaders"


def source(name: str) -> str:
    """A shader's text with the noise functions put in."""
    text = (_SHADERS / name).read_text()
    return text.replace("//NOISE", (_SHADERS / "noise.glsl").read_text())


def areas_of(who: Bytes) -> dict[int, Area]:
    """Where each person of (H, W) is seen, x, y, w, h by number; nobody (0) is left out."""
    areas: dict[int, Area] = {}
    for number in np.unique(who[who > 0]).tolist():
        mask = who == number
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        left, top = int(columns[0]), int(rows[0])
        areas[number] = (left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)
    return areas


def _texture(buffer: moderngl.Framebuffer, index: int) -> moderngl.Texture:
    """A framebuffer's attachment that later passes read."""
    held = buffer.color_attachments[index]
    if not isinstance(held, moderngl.Texture):
        raise TypeError(f"attachment {index}: expected a texture, got {type(held).__name__}")
    return held


class Stage:
    """Holds the OpenGL context, the programs and the targets."""

    def __init__(self) -> None:
        self.gl = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
        self._quads: dict[str, tuple[moderngl.Program, moderngl.VertexArray]] = {}
        self._targets: dict[tuple[str, int, int], moderngl.Framebuffer] = {}
        corners = np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32)
        self._corners = self.gl.buffer(corners.tobytes())
        self.geometry = self.gl.program(source("person.vert"), source("gbuffer.frag"))
        self.mask = self.gl.program(source("person.vert"), source("mask.frag"))
        self.prints = self.texture_array(print_atlas())
        self.gl.enable(moderngl.DEPTH_TEST)
        self.gl.front_face = "cw"  # targets are upside down for OpenGL

    def texture_array(self, layers: Bytes) -> moderngl.TextureArray:
        """Upload sRGB layers (L, H, W, 4) as linear mip-mapped textures."""
        count, height, width, _ = layers.shape
        linear = layers.astype(np.float32) / 255
        linear[..., :3] **= 2.2
        array = self.gl.texture_array((width, height, count), 4, linear.astype(np.float16).tobytes(), dtype="f2")
        array.build_mipmaps()
        array.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        return array

    def quad(self, name: str, *defines: str) -> tuple[moderngl.Program, moderngl.VertexArray]:
        """Program, compiled with some symbols defined, and full-screen array of one of the screen passes."""
        key = " ".join((name, *defines))
        if key not in self._quads:
            text = source(name).replace("#version 330", "#version 330\n" + "".join(f"#define {d}\n" for d in defines))
            program = self.gl.program(source("quad.vert"), text)
            self._quads[key] = program, self.gl.vertex_array(program, [(self._corners, "2f", "corner")])
        return self._quads[key]

    def target(self, kind: str, width: int, height: int) -> moderngl.Framebuffer:
        """Cached framebuffers: geometry (rest, normal, world, who), hdr (linear light), wide (float), out (8 bit)."""
        key = (kind, width, height)
        if key not in self._targets:
            size = (width, height)
            if kind == "hdr":
                made = self.gl.framebuffer([self.gl.texture(size, 4, dtype="f2")])
            elif kind == "geometry":
                texels = [self.gl.texture(size, n, dtype=t) for n, t in ((4, "f4"), (4, "f2"), (4, "f4"), (1, "f1"))]
                made = self.gl.framebuffer(texels, self.gl.depth_renderbuffer(size))
            elif kind == "mask":
                made = self.gl.framebuffer([self.gl.renderbuffer(size, 1)], self.gl.depth_renderbuffer(size))
            elif kind == "wide":
                made = self.gl.framebuffer([self.gl.texture(size, 4, dtype="f4")])
            else:
                made = self.gl.framebuffer([self.gl.renderbuffer(size, 4)])
            self._targets[key] = made
        return self._targets[key]

    def actor(self, outfit: Outfit, mesh: Mesh | None = None) -> Actor:
        """Upload a person."""
        body = mesh or outfit.mesh()
        vertices, faces = self.gl.buffer(body.vertices.tobytes()), self.gl.buffer(body.faces.tobytes())
        layout = [(vertices, "3f 3f 2f 4u1 4f1", "rest", "rest_normal", "kind", "bone", "weight")]
        flat = [(vertices, "3f 12x 2f 4u1 4f1", "rest", "kind", "bone", "weight")]
        return Actor(
            self.gl.vertex_array(self.geometry, layout, faces),
            self.gl.vertex_array(self.mask, flat, faces),
            outfit.uniforms(),
            (vertices, faces),
        )

    def _draw_people(self, actors: list[Actor], projection: Floats, mask: bool = False) -> None:
        """Fill the bound geometry buffer (or mask), behind whatever depth it already holds."""
        program = self.mask if mask else self.geometry
        self.gl.enable(moderngl.CULL_FACE)
        set_arrays(program, view_projection=projection)
        for number, actor in enumerate(actors, 1):
            set_arrays(program, place=actor.place, bones=actor.bones)
            set_values(program, hem=float(actor.outfit[10, 1]))
            if not mask:
                set_values(program, identity=number / 255)
            (actor.mask if mask else actor.geometry).render()
        self.gl.disable(moderngl.CULL_FACE)

    def _shade(self, backdrop: Backdrop, actors: list[Actor], areas: dict[int, Area], size: tuple[int, int]) -> None:
        """Paint the people of the geometry buffer, one pass in its area (of areas_of) each, into the bound target."""
        program, quad = self.quad("person.frag")
        buffer = self.target("geometry", *size)
        for unit, name in enumerate(("rest", "facing", "world", "who")):
            _texture(buffer, unit).use(unit)
            set_values(program, **{name: unit})
        self.prints.use(4)
        light = backdrop.light
        set_values(program, prints=4, eye=tuple(backdrop.camera.eye), sky=light.sky, ground=light.ground)
        self.gl.disable(moderngl.DEPTH_TEST)
        for number, area in areas.items():
            actor = actors[number - 1]
            self.gl.scissor = area
            set_values(program, identity=number / 255)
            set_arrays(program, outfit=actor.outfit, panels=lamps_near(actor.place[:2, 3], light.lamps))
            quad.render(moderngl.TRIANGLE_STRIP)
        self.gl.scissor = None
        self.gl.enable(moderngl.DEPTH_TEST)

    def _depth_quad(self, target: moderngl.Framebuffer, backdrop: Backdrop, part: Window) -> None:
        """Put the empty view's depth and nobody into the geometry buffer; what else it holds is then never read."""
        program, quad = self.quad("depth_only.frag")
        target.color_mask = [(False,) * 4] * 3 + [(True,) * 4]  # type: ignore[assignment]
        target.use()
        backdrop.place.use(1)
        set_values(program, place=1, window=part)
        self.gl.depth_func = "1"
        quad.render(moderngl.TRIANGLE_STRIP)
        self.gl.depth_func = "<"
        target.color_mask = [(True,) * 4] * 4  # type: ignore[assignment]
        target.use()

    def backdrop_quad(self, backdrop: Backdrop, window: Window) -> None:
        """Draw the empty view into the bound target."""
        program, quad = self.quad("backdrop.frag")
        backdrop.radiance.use(0)
        set_values(program, radiance=0, window=window)
        self.gl.disable(moderngl.DEPTH_TEST)
        quad.render(moderngl.TRIANGLE_STRIP)
        self.gl.enable(moderngl.DEPTH_TEST)

    def draw(
        self,
        backdrop: Backdrop,
        actors: list[Actor],
        film: Film,
        seed: float,
        window: Window | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Bytes, Bytes]:
        """The view, or its pixel rectangle `window`, drawn `size` = (W, H) large.

        Returns the image (H, W, 3) RGB and who is seen where (H, W): 1 + the actor's index, 0 for nobody.
        """
        camera = backdrop.camera
        box = window or (0.0, 0.0, float(camera.width), float(camera.frame_height))
        width, height = size or (camera.width, camera.frame_height)
        part = (
            box[0] / camera.width,
            box[1] / camera.frame_height,
            box[2] / camera.width,
            box[3] / camera.frame_height,
        )
        projection = camera.view_projection(box)
        geometry, hdr, out = (self.target(kind, width, height) for kind in ("geometry", "hdr", "out"))
        self._depth_quad(geometry, backdrop, part)
        self._draw_people(actors, projection)
        who = np.frombuffer(geometry.read(components=1, attachment=3, alignment=1), np.uint8).reshape(height, width)
        areas = areas_of(who)
        hdr.use()
        self.backdrop_quad(backdrop, part)
        self._contacts(backdrop, actors, part, (width, height), box)
        self._shade(backdrop, actors, areas, (width, height))
        _texture(geometry, 3).use(1)
        around_people = [around(camera, body_balls(a.place @ a.bones), box, (width, height)) for a in actors]
        self._develop(hdr, out, film, seed, part, [area for area in around_people if area])
        image = np.frombuffer(out.read(components=3, alignment=1), np.uint8).reshape(height, width, 3)
        return image, who

    def _develop(
        self,
        hdr: moderngl.Framebuffer,
        out: moderngl.Framebuffer,
        film: Film,
        seed: float,
        part: Window,
        areas: list[Area],
    ) -> None:
        """Expose into 8 bits; around people (areas x, y, w, h) also smooth their outlines."""
        out.use()
        _texture(hdr, 0).use(0)
        soft = ("SOFT",) if film.soft > 0 else ()
        self.gl.disable(moderngl.DEPTH_TEST)
        passes: list[tuple[tuple[str, ...], Sequence[Area | None]]] = [(soft, [None]), ((*soft, "OUTLINE"), areas)]
        for defines, scissors in passes:
            program, quad = self.quad("develop.frag", *defines)
            set_values(program, radiance=0, gain=film.gain, vignette=film.vignette, grain=film.grain)
            set_values(program, seed=seed, contrast=film.contrast, window=part)
            if soft:
                set_values(program, soft=film.soft)
            if "OUTLINE" in defines:
                set_values(program, who=1)
            for area in scissors:
                self.gl.scissor = area
                quad.render(moderngl.TRIANGLE_STRIP)
        self.gl.scissor = None
        self.gl.enable(moderngl.DEPTH_TEST)

    def _contacts(
        self, backdrop: Backdrop, actors: list[Actor], part: Window, size: tuple[int, int], box: Window
    ) -> None:
        """Darken floor and shelves around each person: occlusion by some spheres along its bones."""
        program, quad = self.quad("contact.frag")
        backdrop.place.use(1)
        set_values(program, place=1, window=part)
        self.gl.disable(moderngl.DEPTH_TEST)
        self.gl.enable(moderngl.BLEND)
        self.gl.blend_func = moderngl.DST_COLOR, moderngl.ZERO
        for actor in actors:
            balls = body_balls(actor.place @ actor.bones)
            area = around(backdrop.camera, balls, box, size, SHADOW_REACH)
            if area is None:
                continue
            set_arrays(program, balls=np.pad(balls, ((0, 24 - len(balls)), (0, 0))))
            set_values(program, count=len(balls))
            self.gl.scissor = area
            quad.render(moderngl.TRIANGLE_STRIP)
        self.gl.scissor = None
        self.gl.disable(moderngl.BLEND)
        self.gl.enable(moderngl.DEPTH_TEST)

    def alone(self, camera: Camera, actor: Actor) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        """The person's own pixels with nothing in front, (h, w) bool, and that part's left and top in the image."""
        size = (camera.width, camera.frame_height)
        area = around(camera, body_balls(actor.place @ actor.bones), (0.0, 0.0, float(size[0]), float(size[1])), size)
        if area is None:
            return np.zeros((0, 0), bool), (0, 0)
        target = self.target("mask", *size)
        target.use()
        self.gl.scissor = area
        target.clear(viewport=area, depth=1.0)
        self._draw_people([actor], camera.view_projection(), mask=True)
        self.gl.scissor = None
        seen = np.frombuffer(target.read(viewport=area, components=1, alignment=1), np.uint8)
        return seen.reshape(area[3], area[2]) > 0, area[:2]
