// The path of one identity on the floor: over what each camera sees, with a grid of one metre.

import { get } from "./api.js";
import { make } from "./dom.js";
import { clock, duration } from "./format.js";
import { FLOOR as T } from "./words.js";

const HIGH = 380; // pixels

export function floorMap(number, cameras, colours) {
  const canvas = make("canvas", { role: "img", "aria-label": T.title });
  const tip = make("output", { class: "hint number" }, T.loading);
  const section = make("section", {}, make("h2", {}, T.title), make("div", { class: "panel floor" }, canvas, tip));
  let found = null, place = null;

  function paint(event) {
    const width = canvas.clientWidth;
    if (!found || !width) return;
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(HIGH * devicePixelRatio);
    const points = found.paths.flatMap((path) => path.points);
    const x = points.map((one) => one[1]), y = points.map((one) => one[2]);
    const left = Math.min(...x) - 1.5, right = Math.max(...x) + 1.5, low = Math.min(...y) - 1.5, high = Math.max(...y) + 1.5;
    const scale = Math.min(width / (right - left), HIGH / (high - low));
    const shift = [(width - (right - left) * scale) / 2, (HIGH - (high - low) * scale) / 2];
    place = (point) => [(point[1] - left) * scale + shift[0], (high - point[2]) * scale + shift[1]];
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    pen.scale(devicePixelRatio, devicePixelRatio);
    for (const [id, corners] of Object.entries(found.seen)) {
      if (corners.length < 3) continue;
      pen.globalAlpha = 0.09;
      pen.fillStyle = colours.get(Number(id));
      pen.beginPath();
      for (const corner of corners) pen.lineTo(...place([0, ...corner]));
      pen.fill();
    }
    pen.globalAlpha = 0.35;
    pen.strokeStyle = style.borderColor;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let metre = Math.ceil(left - shift[0] / scale); metre <= right + shift[0] / scale; metre++) { const at = place([0, metre, 0])[0]; pen.moveTo(at, 0); pen.lineTo(at, HIGH); }
    for (let metre = Math.ceil(low - shift[1] / scale); metre <= high + shift[1] / scale; metre++) { const at = place([0, 0, metre])[1]; pen.moveTo(0, at); pen.lineTo(width, at); }
    pen.stroke();
    pen.globalAlpha = 1;
    pen.lineWidth = 2.5;
    pen.lineJoin = "round";
    for (const path of found.paths) {
      pen.strokeStyle = pen.fillStyle = colours.get(path.camera);
      pen.beginPath();
      for (const point of path.points) pen.lineTo(...place(point));
      pen.stroke();
      if (path.points.length) { pen.beginPath(); pen.arc(...place(path.points[0]), 4.5, 0, 7); pen.fill(); }
    }
    const near = event && nearest(event);
    if (near) {
      pen.strokeStyle = style.color;
      pen.beginPath();
      pen.arc(...place(near.point), 7, 0, 7);
      pen.stroke();
      tip.textContent = `${cameras.get(near.camera)}, ${clock(near.point[0])} UTC`;
    } else tip.textContent = `${T.legend} ${duration(Math.max(...points.map((one) => one[0])) - Math.min(...points.map((one) => one[0])))}`;
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect();
    let best = null, least = 14;
    for (const path of found.paths) for (const point of path.points) {
      const [x, y] = place(point), away = Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top);
      if (away < least) { least = away; best = { camera: path.camera, point }; }
    }
    return best;
  }

  get(`/api/identities/${number}/path`).then((answer) => {
    found = { ...answer, paths: answer.paths.filter((path) => path.points.length) };
    if (found.paths.length === 0) { found = null; canvas.remove(); tip.textContent = T.none; return; }
    paint();
  }).catch((error) => { canvas.remove(); tip.textContent = error.message; });
  canvas.addEventListener("pointermove", paint);
  canvas.addEventListener("pointerleave", () => paint());
  const watcher = new ResizeObserver(() => paint());
  watcher.observe(canvas);
  const themed = () => paint();
  window.addEventListener("themechange", themed);
  return [section, () => { watcher.disconnect(); window.removeEventListener("themechange", themed); }];
}
