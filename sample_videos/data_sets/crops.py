"""Render training crops for re-identification: one person per file, several cameras, often partly occluded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..acting.casting import floor_points, open_share, put, random_pose
from ..drawing.contacts import body_balls
from ..drawing.lighting import Studio
from ..drawing.props import Actor, Backdrop, Film
from ..drawing.stage import Stage
from ..filming.truth import box_of
from ..other_stores.random_parts import random_camera, random_film, random_light, random_store
from ..people.outfits import Outfit, random_outfit

CAMERAS = 6
PEOPLE_PER_SET = 40  # people who share one set of cameras before new ones are lit
OCCLUDED_SHARE = 0.4
SIZE = (128, 256)
VISIBLE = "visible"  # sub-folder of masks: 255 where the person themselves is seen, by name of the crop
Doubles = NDArray[np.float64]
Boxf = tuple[float, float, float, float]


@dataclass
class View:
    """One camera of a set: the lit store, its film, and free floor points (N, 2) with their unoccluded share (N,)."""

    backdrop: Backdrop
    film: Film
    points: Doubles
    shares: Doubles


def write_crops(out: Path, seed: int, identities: int, per_identity: int, first: int = 1) -> Iterator[Path]:
    """Write crops of people first..first+identities-1, skipping those there; yields each new file.

    out/visible holds a mask of the person for each of them.
    """
    (out / VISIBLE).mkdir(parents=True, exist_ok=True)
    stage: Stage | None = None
    views: list[View] = []
    lit = -1
    for pid in range(first, first + identities):
        missing = [k for k in range(per_identity) if not list(out.glob(f"{pid:04d}_c*s*_{k:06d}_00.jpg"))]
        if not missing:
            continue
        stage = stage or Stage()
        group = pid // PEOPLE_PER_SET
        if group != lit:
            for view in views:
                view.backdrop.release()
            views, lit = _views(stage, seed, group), group
        rng = np.random.default_rng([seed, 31, pid])
        outfit = random_outfit(rng)
        others = [random_outfit(rng) for _ in range(2)]
        cast = [(p, stage.actor(p)) for p in (outfit, *others)]
        for k in missing:
            yield _write_crop(stage, views, cast, out, seed, pid, k)
        for _, actor in cast:
            actor.release()


def _views(stage: Stage, seed: int, group: int) -> list[View]:
    rng = np.random.default_rng([seed, 32, group])
    views: list[View] = []
    while len(views) < CAMERAS:
        store = random_store(rng)
        studio = Studio(stage, store, int(rng.integers(1 << 30)))
        for _ in range(2):
            camera = random_camera(rng, store)
            points = floor_points(rng, store, camera, 300, (2.6, 8.5))
            if len(points) < 40 or len(views) == CAMERAS:
                continue
            backdrop = studio.backdrop(camera, random_light(rng), samples=16)
            place = np.frombuffer(backdrop.place.read(), np.float32).reshape(camera.frame_height, camera.width, 4)
            views.append(View(backdrop, random_film(rng), points, open_share(place, camera, points)))
        studio.release()
    return views


def _spot(rng: np.random.Generator, view: View, occluded: bool) -> tuple[float, float]:
    """A floor point whose view is partly blocked by shelves (occluded) or free."""
    wanted = (view.shares > 0.3) & (view.shares < 0.85) if occluded else view.shares > 0.95
    pool = view.points[wanted] if wanted.any() else view.points[view.shares >= np.median(view.shares)]
    x, y = pool[int(rng.integers(len(pool)))].tolist()
    return float(x), float(y)


def _crowd_in_front(
    rng: np.random.Generator, view: View, cast: list[tuple[Outfit, Actor]], x: float, y: float
) -> list[Actor]:
    """Put one or two of the others between the person and the camera, some to the side."""
    toward = view.backdrop.camera.eye[:2] - (x, y)
    toward = toward / np.linalg.norm(toward)
    across = np.array([-toward[1], toward[0]])
    actors = []
    for outfit, actor in cast[1 : 1 + int(rng.integers(1, 3))]:
        spot = (
            np.array([x, y]) + toward * rng.uniform(0.5, 1.1) + across * rng.choice([-1, 1]) * rng.uniform(0.12, 0.45)
        )
        put(actor, outfit, random_pose(rng, outfit), float(spot[0]), float(spot[1]), float(rng.uniform(0, 2 * np.pi)))
        actors.append(actor)
    return actors


def _detector_box(rng: np.random.Generator, view: View, actor: Actor, jitter: float) -> Boxf:
    """The body's box xyxy in pixels as a detector might give it: a little off on every side."""
    balls = body_balls(actor.place @ actor.bones)
    seen = view.backdrop.camera.project(balls[:, :3])
    radius = balls[:, 3] * view.backdrop.camera.intrinsics()[0, 0] / seen[:, 2]
    low, high = (seen[:, :2] - radius[:, None]).min(0), (seen[:, :2] + radius[:, None]).max(0)
    size = high - low
    off = rng.normal(0, jitter, 4) * (*size, *size)
    x1, y1, x2, y2 = (
        low[0] - 0.06 * size[0] + off[0],
        low[1] - 0.03 * size[1] + off[1],
        high[0] + 0.06 * size[0] + off[2],
        high[1] + off[3],
    )
    camera = view.backdrop.camera
    x1, x2, y1, y2 = max(x1, 0.0), min(x2, camera.width), max(y1, 0.0), min(y2, camera.frame_height)
    return float(x1), float(y1), float(max(x2, x1 + 16)), float(max(y2, y1 + 32))


def _write_crop(
    stage: Stage, views: list[View], cast: list[tuple[Outfit, Actor]], out: Path, seed: int, pid: int, k: int
) -> Path:
    rng = np.random.default_rng([seed, 33, pid, k])
    camid = (k + pid) % CAMERAS
    view = views[camid]
    occluded, by_people = bool(rng.random() < OCCLUDED_SHARE), bool(rng.random() < 0.5)
    outfit, actor = cast[0]
    x, y = _spot(rng, view, occluded and not by_people)
    put(actor, outfit, random_pose(rng, outfit), x, y, float(rng.uniform(0, 2 * np.pi)))
    actors = [actor, *(_crowd_in_front(rng, view, cast, x, y) if occluded and by_people else [])]
    window = _detector_box(rng, view, actor, 0.028)
    image, who = _drawn(stage, view, actors, window, rng)
    seen = box_of(who == 1)
    if occluded and seen and rng.random() < 0.5:  # detectors often box only what they see
        x1, y1, x2, y2 = window
        sx, sy = (x2 - x1) / who.shape[1], (y2 - y1) / who.shape[0]
        if (seen[2] - seen[0]) * sx > 14 and (seen[3] - seen[1]) * sy > 35:
            window = (x1 + seen[0] * sx - 2, y1 + seen[1] * sy - 2, x1 + seen[2] * sx + 2, y1 + seen[3] * sy + 2)
            image, who = _drawn(stage, view, actors, window, rng)
    path = out / f"{pid:04d}_c{camid + 1}s1_{k:06d}_00.jpg"
    wide = cv2.resize(image, SIZE, interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(path), np.ascontiguousarray(wide[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 95))])
    visible = cv2.resize(np.where(who == 1, 255, 0).astype(np.uint8), SIZE, interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(out / VISIBLE / f"{path.stem}.png"), visible)
    return path


def _drawn(
    stage: Stage, view: View, actors: list[Actor], window: Boxf, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw at about the size the camera would give, in steps of 16 pixels so that targets are reused."""
    height = int(np.clip(round((window[3] - window[1]) / 32) * 32, 64, 320))
    width = int(np.clip(round((window[2] - window[0]) / 16) * 16, 32, 192))
    return stage.draw(view.backdrop, actors, view.film, float(rng.uniform(0, 50)), window, (width, height))
