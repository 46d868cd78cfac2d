"""One identity's day as one HTML file, which needs nothing else: pictures are in it, and it runs no script."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, cast

from ...pictures.palette import CAMERA_COLOURS
from ...storage.store import Store
from ...types import FloorPlan
from ..reads.boxes import FloorMap, floor_map
from ..reads.person import StoredCrop, crop_file, identity_page
from ..reads.plan import place_of
from ..reads.runs import camera_names
from ..reads.tracklets import visits_of
from .pictures import head_blurred, picture_type

CROPS_PER_CAMERA = 3
MAP_PX, PLAN_PX, MAP_MARGIN_M = 560, 900, 1.0
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#1c1f22;background:#fff}
h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0;color:#62686e}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .7rem;border-bottom:1px solid #e2e2de}
th{font-size:.85rem;color:#62686e}td{font-variant-numeric:tabular-nums}
img{height:128px;border-radius:5px;margin:0 .4rem .4rem 0}
.dot{display:inline-block;width:.7rem;height:.7rem;border-radius:3px;margin-right:.45rem}svg{max-width:100%;height:auto;
border:1px solid #e2e2de;border-radius:8px}@media print{body{margin:0}h2{break-after:avoid}tr{break-inside:avoid}}
"""


def identity_report(store: Store, run: int, identity: int, blur: bool, plan: FloorPlan | None = None) -> str:
    """The report of an identity.

    Args:
        store: the database.
        run: number of a run.
        identity: its number.
        blur: whether heads in its pictures are blurred.
        plan: picture of the floor.

    Raises:
        CorrectionError: it has no such identity.
    """
    page = identity_page(store, run, identity)
    cameras = camera_names(store, run)
    colours = {one["id"]: CAMERA_COLOURS[place % len(CAMERA_COLOURS)] for place, one in enumerate(cameras)}
    names = {one["id"]: one["name"] for one in cameras}
    tracklets = cast(Sequence[dict[str, Any]], page["tracklets"])
    title = str(page["name"] or f"Person {identity}")
    visits = visits_of(store, run, identity)
    rows = [
        f"<tr><td>{_camera(names[one.camera], colours[one.camera])}</td><td>{_time(one.first_seconds)}</td>"
        f"<td>{_time(one.last_seconds)}</td><td>{one.last_seconds - one.first_seconds:.1f} s</td></tr>"
        for one in visits]
    links = [
        f"<tr><td>{_camera(one['camera'], colours[one['camera_id']])}, track {one['track']}</td>"
        f"<td>{_time(one['first_seconds'])}</td><td>{_number(one['probability'], '{:.0%}')}</td>"
        f"<td>{_number(one['similarity'], '{:.2f}')}</td><td>{_by(one['by'])}</td></tr>"
        for one in tracklets]
    pictures = "".join(
        f"<h3>{_camera(names[camera], colours[camera])}</h3>" + "".join(_pictures(store, run, tracklets, camera, blur))
        for camera in dict.fromkeys(one.camera for one in visits))
    first, last = cast(float, page["first_seconds"]), cast(float, page["last_seconds"])
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>Number {identity} of run {run}. From {_day(first)} {_time(first)} to "
        f"{_day(last)} {_time(last)} UTC. Made {made}.</p>"
        "<p>Which visits are of one person was decided by a model, unless a person is named as its author. "
        "It can be wrong.</p>"
        "<h2>Visits</h2><table><thead><tr><th>Camera</th><th>From, UTC</th><th>To</th><th>Stay</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
        f"{_map(floor_map(store, run, identity), colours, plan)}<h2>Pictures</h2>{pictures}"
        "<h2>Why these are one person</h2><table><thead><tr><th>Tracklet</th><th>From, UTC</th><th>Probability</th>"
        f"<th>Similarity</th><th>Decided by</th></tr></thead><tbody>{''.join(links)}</tbody></table></body></html>\n")


def _pictures(
    store: Store, run: int, tracklets: Sequence[dict[str, Any]], camera: int, blur: bool
) -> list[str]:
    crops: list[StoredCrop] = [crop for one in tracklets if one["camera_id"] == camera for crop in one["crops"]]
    found = []
    for crop in sorted(crops, key=lambda one: -one["quality"])[:CROPS_PER_CAMERA]:
        content = crop_file(store, run, crop["tracklet"], crop["frame"])
        if content is not None and blur:
            content = head_blurred(content)
        kind = None if content is None else picture_type(content)
        if content is not None and kind is not None:
            text = base64.b64encode(content).decode()
            found.append(f'<img alt="at {_time(crop["seconds"])}" src="data:{kind};base64,{text}">')
    return found or ["<p>No picture is stored any more.</p>"]


def _map(found: FloorMap, colours: dict[int, str], plan: FloorPlan | None) -> str:
    """The paths over the picture of the floor, or over a grid of metres."""
    if not any(path["points"] for path in found["paths"]):
        return ""
    background, place, (wide, high), hint = _on_grid(found) if plan is None else _on_plan(plan)
    walked = []
    for path in found["paths"]:
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(point[1], point[2]) for point in path["points"]))
        for colour, width in (("#fff", 6.0), (colours[path["camera"]], 2.5)):  # a white rim, to stand out of lines
            walked.append(f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" '
                          f'points="{corners}"/>')
    return (f'<h2>Path on the floor</h2>{hint}<svg role="img" aria-label="path on the floor" width="{wide:.0f}" '
            f'height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}">{background}{"".join(walked)}</svg>')


Background = tuple[str, Callable[[float, float], tuple[float, float]], tuple[float, float], str]


def _on_plan(plan: FloorPlan) -> Background:
    """The picture, where metres lie on it, its size, and a hint."""
    scale = PLAN_PX / max(plan.width, plan.height)
    (a, b, c), (d, e, f) = place_of(plan)["floor_to_pixels"]
    wide, high = plan.width * scale, plan.height * scale
    picture = (f'<image width="{wide:.0f}" height="{high:.0f}" opacity="0.75" href="data:image/webp;base64,'
               f'{base64.b64encode(plan.image).decode()}"/>')
    return picture, lambda x, y: ((a * x + b * y + c) * scale, (d * x + e * y + f) * scale), (wide, high), ""


def _on_grid(found: FloorMap) -> Background:
    """Lines of metres around the paths, where metres lie on them, the size, and a hint."""
    points = [point for path in found["paths"] for point in path["points"]]
    x, y = [point[1] for point in points], [point[2] for point in points]
    left, top = min(x) - MAP_MARGIN_M, max(y) + MAP_MARGIN_M
    wide, high = max(x) - left + MAP_MARGIN_M, top - min(y) + MAP_MARGIN_M
    scale = MAP_PX / max(wide, high)
    lines = [
        f'<line x1="{(metre - left) * scale:.1f}" x2="{(metre - left) * scale:.1f}" y1="0" y2="{high * scale:.1f}"/>'
        for metre in range(int(left) + 1, int(left + wide) + 1)]
    lines += [
        f'<line y1="{(top - metre) * scale:.1f}" y2="{(top - metre) * scale:.1f}" x1="0" x2="{wide * scale:.1f}"/>'
        for metre in range(int(top - high) + 1, int(top) + 1)]
    return (f'<g stroke="#e2e2de">{"".join(lines)}</g>', lambda x, y: ((x - left) * scale, (top - y) * scale),
            (wide * scale, high * scale), "<p>One square is one metre.</p>")


def _camera(name: str, colour: str) -> str:
    return f'<span class="dot" style="background:{colour}"></span>{escape(name)}'


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(float(seconds), UTC).strftime("%H:%M:%S")


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%d")


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _by(by: str | None) -> str:
    return {"model": "the model", "person": "a person"}.get(by or "", "")
