// The player: footage of several cameras in time sync, with boxes from the database drawn over it.

import { addressOf, get } from "./api.js";
import { paintBoxes } from "./boxes.js";
import { dot, empty, make, toast } from "./dom.js";
import { clock, colourOf, coloursOfIdentity, day, titleOf } from "./format.js";
import { PLAYER as T } from "./words.js";

const MOST = 9; // cameras at once
const WINDOW = 10; // seconds of boxes in one request
const DRIFT = 0.12; // seconds that a video may be away from the common time before it is moved
const HOLD = 0.25; // seconds for which the boxes of an analysed frame stand
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

export async function showPlayer(place, seconds, rest) {
  const chosenIdentity = Number(rest[1]) || null;
  const [first, timeline] = await Promise.all([get("/api/footage"), get("/api/timeline")]);
  let footage = first;
  const names = new Map(timeline.identities.map((one) => [one.identity, one.name]));
  const visits = timeline.visits.filter((one) => !chosenIdentity || one[0] === chosenIdentity).sort((a, b) => a[2] - b[2]);
  const nameOf = (identity) => names.get(identity) || `P${identity}`;
  const ready = () => footage.filter((one) => one.state === "ready" && one.parts.length);
  if (footage.every((one) => one.state !== "preparing") && !ready().length) {
    place.append(empty(T.nothing, T.nothingWhy, ...footage.map((one) => `${one.name}: ${one.explanation}`)));
    return undefined;
  }
  const on = new Set((ready().length ? ready() : footage).slice(0, MOST).map((one) => one.id));
  let now = 0, playing = false, speed = 1, last = 0, ended = false, polling = 0;
  let span = spanOf();
  now = Number.isFinite(seconds) && seconds > 0 ? seconds : span[0];

  const tiles = new Map();
  const grid = make("div", { class: "tiles" });
  const chips = make("div", { class: "row", role: "group", "aria-label": T.cameras });
  const time = make("output", { class: "number time" });
  const slider = make("input", { type: "range", min: "0", max: "1000", value: "0", "aria-label": T.position, oninput: () => seek(span[0] + slider.value / 1000 * (span[1] - span[0])) });
  const marks = make("canvas", { class: "marks", "aria-hidden": "true" });
  const play = make("button", { type: "button", class: "primary", onclick: () => toggle() }, T.play);
  const faster = make("select", { "aria-label": T.speed, onchange: () => { speed = Number(faster.value); for (const tile of tiles.values()) tile.video.playbackRate = speed; } },
    SPEEDS.map((one) => make("option", { value: one, selected: one === 1 }, `${one}×`)));
  const button = (text, title, act) => make("button", { type: "button", title, "aria-label": title, onclick: act }, text);
  place.append(make("div", { class: "player" },
    make("div", { class: "bar" }, chips, make("span", { class: "grow" }),
      chosenIdentity ? make("span", { class: "hint" }, T.visitsOf, " ", make("a", { href: `#/identity/${chosenIdentity}` }, titleOf(chosenIdentity, names.get(chosenIdentity)))) : null),
    grid,
    make("div", { class: "controls" },
      make("div", { class: "seek" }, marks, slider),
      make("div", { class: "row" },
        button("|◀", `${T.previousVisit} (P)`, () => jump(-1)), button("−1", `${T.stepBack} (,)`, () => step(-1)), play,
        button("+1", `${T.stepAhead} (.)`, () => step(1)), button("▶|", `${T.nextVisit} (N)`, () => jump(1)), faster, time))));

  function spanOf() {
    const own = ready();
    if (!own.length) return [timeline.first_seconds ?? 0, timeline.last_seconds ?? 1];
    return [Math.min(...own.map((one) => one.first_seconds)), Math.max(...own.map((one) => one.first_seconds + one.duration_seconds))];
  }

  function layOut() {
    chips.replaceChildren(...footage.map((one, order) => make("button", {
      class: "chip", type: "button", "aria-pressed": String(on.has(one.id)),
      onclick: () => {
        if (on.has(one.id)) on.delete(one.id);
        else if (on.size < MOST) on.add(one.id);
        else toast(T.mostCameras, { bad: true });
        layOut();
      },
    }, dot(colourOf(order)), make("span", { title: one.name }, one.name))));
    for (const [id, tile] of tiles) if (!on.has(id)) { tile.video.removeAttribute("src"); tile.video.load(); tiles.delete(id); }
    for (const camera of footage) if (on.has(camera.id)) {
      if (tiles.has(camera.id)) tiles.get(camera.id).camera = camera; else tiles.set(camera.id, makeTile(camera));
      const tile = tiles.get(camera.id);
      tile.state.textContent = camera.state === "ready" ? "" : camera.state === "preparing" ? `${camera.explanation} ${Math.round(100 * camera.share)} %` : camera.explanation;
      tile.state.hidden = camera.state === "ready";
    }
    grid.replaceChildren(...footage.filter((one) => on.has(one.id)).map((one) => tiles.get(one.id).element));
    grid.style.setProperty("--columns", String(Math.ceil(Math.sqrt(on.size))));
    fit();
    if (on.size === 0) grid.replaceChildren(make("p", { class: "hint" }, T.chooseCamera));
    seek(now);
    paintMarks();
  }

  // All cameras are seen at once, unless the window is narrow: then they follow each other.
  function fit() {
    const columns = Math.ceil(Math.sqrt(on.size)), rows = Math.ceil(on.size / columns);
    const high = (grid.clientHeight - 10 * rows) / rows - 32;
    for (const { element, camera } of tiles.values()) element.style.maxWidth = innerWidth > 760 ? `${Math.max(260, high * camera.width / camera.height)}px` : "";
  }

  function makeTile(camera) {
    const video = make("video", { muted: true, playsinline: true, preload: "auto", tabindex: "-1", "aria-label": camera.name });
    video.muted = true;
    const canvas = make("canvas", { "aria-hidden": "true" });
    const state = make("p", { class: "state", role: "status", hidden: true });
    const people = make("ul", { class: "people", "aria-label": `${T.peopleIn} ${camera.name}` });
    const tile = { camera, video, canvas, state, people, part: null, boxes: new Map(), shown: [] };
    canvas.addEventListener("click", (event) => {
      const one = boxAt(tile, event);
      if (one) location.hash = `#/identity/${one[0]}`;
    });
    canvas.addEventListener("pointermove", (event) => { canvas.style.cursor = boxAt(tile, event) ? "pointer" : "default"; });
    tile.element = make("figure", { class: "tile" },
      make("div", { class: "screen", style: { aspectRatio: `${camera.width} / ${camera.height}` } }, video, canvas, state),
      make("figcaption", {}, camera.name, people));
    return tile;
  }

  function boxAt(tile, event) {
    const box = tile.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * tile.camera.width, y = (event.clientY - box.top) / box.height * tile.camera.height;
    const hit = tile.shown.filter((one) => one[0] !== null && one[2] <= x && x <= one[4] && one[3] <= y && y <= one[5]);
    return hit.sort((a, b) => b[5] - a[5])[0] ?? null; // the nearer person
  }

  // Each video shows the file in which the common time lies, at its own time within that file.
  function aim(tile, force) {
    const { camera, video } = tile;
    const part = camera.state === "ready" ? camera.parts.findLast((one) => one.first_seconds <= now && now < one.first_seconds + one.duration_seconds) : undefined;
    if (!part) {
      if (!video.paused) video.pause();
      if (camera.state === "ready") { tile.state.hidden = false; tile.state.textContent = T.noFootageThen; video.style.visibility = "hidden"; }
      return true;
    }
    if (camera.state === "ready" && !tile.state.hidden) { tile.state.hidden = true; video.style.visibility = ""; }
    const target = now - part.first_seconds;
    if (tile.part !== part.part) {
      tile.part = part.part;
      video.src = addressOf(`/media/footage/${camera.id}/${part.part}`);
      video.playbackRate = speed;
      video.currentTime = target;
      video.onerror = () => { tile.state.hidden = false; tile.state.textContent = T.cannotPlay; };
    } else if (force || Math.abs(video.currentTime - target) > (playing ? DRIFT * Math.max(1, speed) : 0.001)) {
      if (!video.seeking || !playing) video.currentTime = target;
    }
    if (playing && video.paused && !video.seeking) video.play().catch(() => {});
    if (!playing && !video.paused) video.pause();
    return video.readyState >= 2 || video.error !== null;
  }

  function boxesOf(tile) {
    const frames = windowOf(tile, Math.floor(now / WINDOW));
    windowOf(tile, Math.floor(now / WINDOW + 0.5));
    if (!frames) return [];
    const at = tile.part === null ? now : shownSecond(tile);
    let best = null;
    for (const frame of frames) if (Math.abs(frame[0] - at) < HOLD && (!best || Math.abs(frame[0] - at) < Math.abs(best[0] - at))) best = frame;
    return best ? best[1] : [];
  }

  function shownSecond(tile) {
    const part = tile.camera.parts[tile.part];
    return part ? part.first_seconds + tile.video.currentTime : now;
  }

  function windowOf(tile, number) {
    if (!tile.boxes.has(number)) {
      tile.boxes.set(number, null);
      if (tile.boxes.size > 60) tile.boxes.delete(tile.boxes.keys().next().value);
      get("/api/boxes", { camera: tile.camera.id, from: number * WINDOW - HOLD, to: (number + 1) * WINDOW + HOLD })
        .then((frames) => { tile.boxes.set(number, frames); if (!playing) paint(tile); })
        .catch((error) => { tile.boxes.delete(number); if (!ended) { playing = false; toast(error.message, { bad: true }); } });
    }
    return tile.boxes.get(number);
  }

  function paint(tile) {
    const { canvas, camera } = tile;
    const ratio = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
    const pen = canvas.getContext("2d"), scale = width / camera.width;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    tile.shown = boxesOf(tile);
    pen.font = `600 12px ${getComputedStyle(canvas).fontFamily}`;
    pen.textBaseline = "middle";
    paintBoxes(pen, tile.shown, { scale, width, height, nameOf, chosen: chosenIdentity });
    const there = [...new Set(tile.shown.map((one) => one[0]).filter((one) => one !== null))].sort((a, b) => a - b);
    const key = there.join(" ");
    if (tile.there !== key) {
      tile.there = key;
      tile.people.replaceChildren(...there.map((one) => make("li", {}, make("a", { href: `#/identity/${one}` }, dot(coloursOfIdentity(one)[0]), make("span", { title: nameOf(one) }, nameOf(one))))));
    }
  }

  function paintMarks() {
    const width = marks.clientWidth, ratio = devicePixelRatio;
    if (!width) return;
    marks.width = Math.round(width * ratio);
    marks.height = Math.round(marks.clientHeight * ratio);
    const pen = marks.getContext("2d");
    pen.scale(ratio, ratio);
    const order = new Map(footage.map((one, at) => [one.id, at]));
    const row = marks.clientHeight / footage.length;
    for (const visit of visits) {
      pen.fillStyle = colourOf(order.get(visit[1]));
      const x = (visit[2] - span[0]) / (span[1] - span[0]) * width;
      pen.fillRect(x, order.get(visit[1]) * row, Math.max(2, (visit[3] - visit[2]) / (span[1] - span[0]) * width), Math.max(1, row - 1));
    }
  }

  function seek(to) {
    now = Math.min(Math.max(to, span[0]), span[1]);
    for (const tile of tiles.values()) aim(tile, true);
    show();
  }
  function step(frames) {
    playing = false;
    const fps = Math.max(1, ...ready().filter((one) => on.has(one.id)).map((one) => one.fps));
    seek(now + frames / fps);
    showState();
  }
  function jump(way) {
    const next = way > 0 ? visits.find((one) => one[2] > now + 0.5) : visits.findLast((one) => one[2] < now - 1);
    if (!next) { toast(way > 0 ? T.noNext : T.noPrevious); return; }
    if (!on.has(next[1]) && on.size < MOST) { on.add(next[1]); layOut(); }
    seek(next[2]);
  }
  function toggle() {
    if (!playing && now >= span[1] - 0.05) seek(span[0]);
    playing = !playing;
    last = performance.now();
    for (const tile of tiles.values()) { tile.video.playbackRate = speed; aim(tile); }
    showState();
  }
  function showState() { play.textContent = playing ? T.pause : T.play; }
  function show() {
    time.textContent = `${day(now)}, ${clock(now)}.${Math.floor(now * 10 % 10)} UTC`;
    slider.value = String(Math.round((now - span[0]) / Math.max(0.001, span[1] - span[0]) * 1000));
    slider.setAttribute("aria-valuetext", clock(now));
  }

  function tick(at) {
    if (ended) return;
    const passed = Math.min(0.25, (at - last) / 1000);
    last = at;
    let allReady = true;
    for (const tile of tiles.values()) { allReady = aim(tile) && allReady; paint(tile); }
    if (playing && allReady) {
      now += passed * speed;
      if (now >= span[1]) { now = span[1]; playing = false; showState(); }
    }
    show();
    requestAnimationFrame(tick);
  }

  async function poll() {
    try { footage = await get("/api/footage"); span = spanOf(); layOut(); } catch (error) { toast(error.message, { bad: true }); }
    if (!ended && footage.some((one) => one.state === "preparing")) polling = setTimeout(poll, 1500);
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog, textarea")) return;
    if (event.key === " " && event.target.closest("button, a")) return;
    const act = { " ": toggle, k: toggle, ",": () => step(-1), ".": () => step(1), ArrowLeft: () => seek(now - 5), ArrowRight: () => seek(now + 5), n: () => jump(1), p: () => jump(-1) }[event.key];
    if (act) { event.preventDefault(); act(); }
  }
  document.addEventListener("keydown", key);
  const watcher = new ResizeObserver(() => { paintMarks(); fit(); });
  watcher.observe(marks);
  watcher.observe(grid);
  place.addEventListener("shown", () => { layOut(); last = performance.now(); requestAnimationFrame(tick); });
  if (footage.some((one) => one.state === "preparing")) polling = setTimeout(poll, 1500);
  return () => {
    ended = true;
    clearTimeout(polling);
    watcher.disconnect();
    document.removeEventListener("keydown", key);
    for (const tile of tiles.values()) { tile.video.removeAttribute("src"); tile.video.load(); }
  };
}
