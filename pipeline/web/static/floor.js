// The path of one identity on the floor: over the picture of the floor if there is one, else over a grid of one metre.

import { addressOf, get } from "./api.js";
import { make } from "./dom.js";
import { clock, duration } from "./format.js";
import { FLOOR as T } from "./words.js";

const HIGH = 380, HIGHEST = 600; // pixels, without and with a picture
const MARGIN = 1.5; // metres around the paths, without a picture
const MOST_OUTSIDE = 0.25; // of a path: people also walk in and out
const BAR = 140; // pixels, of the longest scale bar
const LENGTHS = [100, 50, 20, 10, 5, 2, 1]; // metres, of scale bars

export function floorMap(number, cameras, colours) {
  const canvas = make("canvas", { role: "img", "aria-label": T.title });
  const tip = make("output", { class: "hint number" }, T.loading);
  const map = make("div", { class: "map" }, canvas);
  const section = make("section", {}, make("h2", {}, T.title), make("div", { class: "panel floor" }, map, tip));
  let found = null, place = null, picture = null;

  function paint(event) {
    const width = map.clientWidth;
    if (!found || !width) return;
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    const view = found.plan ? onPlan(width) : onGrid(width);
    place = view.place;
    canvas.style.height = `${view.high}px`;
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(view.high * devicePixelRatio);
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.save();
    if (found.plan) { pen.beginPath(); pen.rect(...view.picture); pen.clip(); }
    for (const [id, corners] of Object.entries(found.seen)) {
      if (corners.length < 3) continue;
      pen.globalAlpha = 0.09;
      pen.fillStyle = colours.get(Number(id));
      pen.beginPath();
      for (const corner of corners) pen.lineTo(...place([0, ...corner]));
      pen.fill();
    }
    pen.restore();
    if (!found.plan) grid(pen, style, view, width);
    pen.globalAlpha = 1;
    pen.lineJoin = "round";
    for (const path of found.paths) walk(pen, path, colours.get(path.camera), found.plan ? style.outlineColor : null);
    if (found.plan) bar(pen, style, view);
    const near = event && nearest(event);
    if (near) {
      pen.lineWidth = 2.5;
      pen.strokeStyle = style.color;
      pen.beginPath();
      pen.arc(...place(near.point), 7, 0, 7);
      pen.stroke();
    }
    tip.textContent = near ? `${cameras.get(near.camera)}, ${clock(near.point[0])} UTC` : view.legend;
  }

  // The whole picture, and whatever of the paths lies beside it.
  function onPlan(width) {
    const plan = found.plan, [[a, b, c], [d, e, f]] = plan.floor_to_pixels;
    const to = ([, x, y]) => [a * x + b * y + c, d * x + e * y + f];
    const at = points().map(to), x = [0, plan.width, ...at.map((one) => one[0])], y = [0, plan.height, ...at.map((one) => one[1])];
    const left = Math.min(...x), top = Math.min(...y), wide = Math.max(...x) - left, tall = Math.max(...y) - top;
    const scale = Math.min(width / wide, HIGHEST / tall), beside = (width - wide * scale) / 2;
    const box = [beside - left * scale, -top * scale, plan.width * scale, plan.height * scale];
    for (const [order, side] of ["left", "top", "width", "height"].entries()) picture.style[side] = `${box[order]}px`;
    const outside = at.filter(([px, py]) => px < 0 || py < 0 || px > plan.width || py > plan.height).length;
    return { high: tall * scale, picture: box, metre: Math.sqrt(Math.abs(a * e - b * d)) * scale,
      legend: `${outside > MOST_OUTSIDE * at.length ? `${T.outside} ` : ""}${T.planLegend} ${lasts()}`,
      place: (point) => { const [px, py] = to(point); return [box[0] + px * scale, box[1] + py * scale]; } };
  }

  function onGrid(width) {
    const all = points(), x = all.map((one) => one[1]), y = all.map((one) => one[2]);
    const left = Math.min(...x) - MARGIN, right = Math.max(...x) + MARGIN, low = Math.min(...y) - MARGIN, high = Math.max(...y) + MARGIN;
    const scale = Math.min(width / (right - left), HIGH / (high - low));
    const shift = [(width - (right - left) * scale) / 2, (HIGH - (high - low) * scale) / 2];
    return { high: HIGH, legend: `${T.legend} ${lasts()}`, x: [left - shift[0] / scale, right + shift[0] / scale], y: [low - shift[1] / scale, high + shift[1] / scale],
      place: (point) => [(point[1] - left) * scale + shift[0], (high - point[2]) * scale + shift[1]] };
  }

  function grid(pen, style, view, width) {
    pen.globalAlpha = 0.35;
    pen.strokeStyle = style.borderColor;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let metre = Math.ceil(view.x[0]); metre <= view.x[1]; metre++) { const at = place([0, metre, 0])[0]; pen.moveTo(at, 0); pen.lineTo(at, view.high); }
    for (let metre = Math.ceil(view.y[0]); metre <= view.y[1]; metre++) { const at = place([0, 0, metre])[1]; pen.moveTo(0, at); pen.lineTo(width, at); }
    pen.stroke();
  }

  // One path and the dot of its beginning; with a rim, they stand out of a picture's lines.
  function walk(pen, path, colour, rim) {
    for (const [drawn, wider] of rim ? [[rim, 3.5], [colour, 0]] : [[colour, 0]]) {
      pen.strokeStyle = pen.fillStyle = drawn;
      pen.lineWidth = 2.5 + wider;
      pen.beginPath();
      for (const point of path.points) pen.lineTo(...place(point));
      pen.stroke();
      pen.beginPath();
      pen.arc(...place(path.points[0]), 4.5 + wider / 2, 0, 7);
      pen.fill();
    }
  }

  function bar(pen, style, view) {
    const metres = LENGTHS.find((one) => one * view.metre <= BAR) ?? 1, long = metres * view.metre, y = view.high - 14;
    pen.font = `600 12px ${style.fontFamily}`;
    pen.lineJoin = "round";
    for (const [colour, wide] of [[style.outlineColor, 6], [style.color, 2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.beginPath();
      pen.moveTo(12, y - 5); pen.lineTo(12, y); pen.lineTo(12 + long, y); pen.lineTo(12 + long, y - 5);
      pen.stroke();
      if (wide > 2) { pen.lineWidth = 4; pen.strokeText(`${metres} m`, 18, y - 6); }
    }
    pen.fillStyle = style.color;
    pen.fillText(`${metres} m`, 18, y - 6);
  }

  const points = () => found.paths.flatMap((path) => path.points);

  function lasts() {
    const times = points().map((one) => one[0]);
    return duration(Math.max(...times) - Math.min(...times));
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

  // A picture on white paper is inverted in the dark theme; a photo, which is darker, is not.
  function showPicture() {
    picture = make("img", { alt: "", src: addressOf("/media/floor-plan"), onerror: () => { found.plan = null; picture.remove(); paint(); }, onload: () => {
      const small = make("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
      small.drawImage(picture, 0, 0, 1, 1);
      const [red, green, blue] = small.getImageData(0, 0, 1, 1).data;
      picture.classList.toggle("paper", red + green + blue > 3 * 160);
    } });
    map.prepend(picture);
  }

  get(`/api/identities/${number}/path`).then((answer) => {
    found = { ...answer, paths: answer.paths.filter((path) => path.points.length) };
    if (found.paths.length === 0) { found = null; map.remove(); tip.textContent = T.none; return; }
    if (found.plan) showPicture();
    paint();
  }).catch((error) => { map.remove(); tip.textContent = error.message; });
  canvas.addEventListener("pointermove", paint);
  canvas.addEventListener("pointerleave", () => paint());
  const watcher = new ResizeObserver(() => paint());
  watcher.observe(map);
  const themed = () => paint();
  window.addEventListener("themechange", themed);
  return [section, () => { watcher.disconnect(); window.removeEventListener("themechange", themed); }];
}
