// The timeline: identities as rows, visits as bars. One canvas of the window's size, redrawn for what is in sight.

import { addressOf, get, portraitAddress, state, watch } from "./api.js";
import { dot, empty, make, toast } from "./dom.js";
import { clock, colourOf, day, duration, moment, percent, plural, titleOf } from "./format.js";
import { timeFields } from "./times.js";
import { NUMBERS, TIMELINE as T } from "./words.js";

const WAIT_MS = 10000; // between two looks at a run that goes on: for so long the server's answer stands, too
const ROW = 40, AXIS = 30, BAR = 18;
const LEAST_SPAN = 2; // seconds across the window
const UNSURE = 0.75; // a visit whose least sure link has a lower probability is hatched
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
const BLOCK = 150; // rows in one request: those in sight, and some around them

const isRunning = () => state.runs.find((one) => one.run === state.run)?.status === "running";

// Look again while the run goes on, and once when it has ended; returns what ends that.
function follow(look) {
  if (!isRunning()) return () => {};
  let looked = Date.now(), looking = false;
  const end = watch(async (live) => {
    const ended = live.status !== "running";
    if (looking || (!ended && Date.now() - looked < WAIT_MS)) return;
    looking = true;
    try {
      await look(live);
      if (ended) end();
    } catch { /* the next event looks again */ }
    looking = false;
    looked = Date.now();
  });
  return end;
}

export async function showTimeline(place) {
  let found = await get("/api/timeline", { sort: "first", limit: BLOCK });
  if (found.total === 0) {
    place.append(isRunning() ? empty(T.nobodyYet, T.wait) : empty(T.nobody, T.noIdentity));
    return follow(async (live) => {
      const now = await get("/api/timeline", { limit: 1 });
      if (now.total || live.status !== "running") window.dispatchEvent(new Event("hashchange"));
    });
  }
  const cameras = new Map(found.cameras.map((one, order) => [one.id, { ...one, colour: colourOf(order) }]));
  const off = new Set();
  const range = { from: null, to: null }, least = { seconds: 0, cameras: 1 };
  let rows = [], asked = new Set(), version = 0, sort = "first", chosen = 0, hovered = null;
  let whole = extentOf(found), { begin, span } = whole;
  const labels = make("div", { class: "labels" }, make("div", { class: "axis-corner" }, make("span", {}, T.person),
    make("button", { class: "quiet", type: "button", "aria-label": T.zoomOut, title: `${T.zoomOut} (−)`, onclick: () => zoom(1.5) }, "−"),
    make("button", { class: "quiet", type: "button", "aria-label": T.zoomIn, title: `${T.zoomIn} (+)`, onclick: () => zoom(1 / 1.5) }, "+"),
    make("button", { class: "quiet", type: "button", title: `${T.showAll} (0)`, onclick: () => fit() }, T.all)));
  const canvas = make("canvas", { tabindex: "0", role: "application", "aria-label": T.chart });
  const view = make("div", { class: "view" }, labels, canvas);
  const spacer = make("div");
  const chart = make("div", { class: "chart" }, view, spacer);
  const count = make("span", { class: "count", role: "status" });
  const sheet = make("a", { class: "sheet", download: "", title: T.sheet }, "CSV");
  const tip = make("div", { class: "tip", hidden: true });
  const portraits = new Map();

  const chips = [...cameras.values()].map((camera) => make("button", {
    class: "chip", type: "button", "aria-pressed": "true",
    onclick: (event) => {
      if (off.has(camera.id)) off.delete(camera.id); else off.add(camera.id);
      event.currentTarget.setAttribute("aria-pressed", String(!off.has(camera.id)));
      load();
    },
  }, dot(camera.colour), make("span", { title: camera.name }, camera.name)));
  const times = timeFields(found.first_seconds, found.last_seconds, range, load);
  const sorter = make("select", { onchange: () => { sort = sorter.value; load(); } },
    Object.entries(T.sorts).map(([key, text]) => make("option", { value: key }, text)));
  place.append(make("div", { class: "timeline" },
    make("div", { class: "bar" }, make("div", { class: "row", role: "group", "aria-label": T.cameras }, chips), ...times,
      make("label", { class: "field" }, `${T.stay} ≥ `, make("input", { type: "number", min: "0", step: "1", value: "0", class: "short", "aria-label": T.stayName, onchange: (event) => { least.seconds = Math.max(0, Number(event.target.value) || 0); load(); } }), ` ${NUMBERS.seconds}`),
      make("label", { class: "field" }, `${T.leastCameras} ≥ `, make("input", { type: "number", min: "1", max: String(cameras.size), step: "1", value: "1", class: "short", "aria-label": T.leastCamerasName, onchange: (event) => { least.cameras = Math.max(1, Math.round(Number(event.target.value)) || 1); load(); } })),
      make("label", { class: "field" }, `${T.sortBy} `, sorter), make("span", { class: "grow" }), count, sheet),
    chart), tip);

  async function load() {
    try { await reload(); } catch (error) { toast(error.message, { bad: true }); }
  }

  function filters() {
    const query = { camera: [...cameras.keys()].filter((id) => !off.has(id)) };
    if (range.from !== null) query.from = range.from;
    if (range.to !== null) query.to = range.to;
    if (least.seconds) query.least_seconds = least.seconds;
    if (least.cameras > 1) query.least_cameras = least.cameras;
    return query;
  }

  async function reload() {
    const query = filters();
    const own = ++version;
    const answer = off.size === cameras.size ? { ...found, identities: [], visits: [], matching: 0, matching_visits: 0 }
      : await get("/api/timeline", { ...query, sort, limit: BLOCK });
    if (own !== version) return;
    found = answer;
    if (range.from !== null || range.to !== null) {
      begin = range.from ?? whole.begin;
      span = Math.max(LEAST_SPAN, (range.to ?? whole.begin + whole.span) - begin);
    }
    arrange();
  }

  function extentOf({ first_seconds: first, last_seconds: last }) {
    const long = Math.max(LEAST_SPAN, last - first);
    return { begin: first - long * 0.02, span: long * 1.04 };
  }

  // What is new in a run that goes on; the window, the choice and the rows in sight stay where they are.
  let seen = [];
  async function refresh(live) {
    const ended = live.status !== "running", now = `${live.people} ${live.tracklets}`;
    if (!ended && (grabbed || (seen[0] === now && seen[1] === now))) return; // the first answer may have been an older one
    const top = Math.floor(chart.scrollTop / ROW), low = Math.floor((chart.scrollTop + chart.clientHeight) / ROW);
    const block = Math.floor(top / BLOCK), blocks = Math.floor(low / BLOCK) - block + 1;
    if (off.size === cameras.size) return; // nothing is shown
    const own = ++version;
    const answer = await get("/api/timeline", { ...filters(), sort, limit: BLOCK * blocks, offset: BLOCK * block });
    if (own !== version || !answer.total) return;
    seen = [seen.at(-1), now];
    const isAll = begin === whole.begin && span === whole.span;
    const inSight = rows[top]?.identity, choice = rows[chosen]?.identity;
    found = answer;
    whole = extentOf(found);
    if (isAll) ({ begin, span } = whole);
    arrange(block, blocks);
    const placeOf = (identity, before) => { const at = rows.findIndex((one) => one && one.identity === identity); return at < 0 ? before : at; };
    chosen = Math.min(placeOf(choice, chosen), Math.max(0, rows.length - 1));
    if (top > 0) chart.scrollTop += (placeOf(inSight, top) - top) * ROW;
    hovered = hovered && (rows[placeOf(hovered[0], -1)]?.visits.find((one) => one[1] === hovered[1] && one[2] === hovered[2]) ?? null);
    renewLabels();
  }

  // Their names and portraits may be other ones now; what is shown stays until the new picture is there.
  function renewLabels() {
    const names = new Map(rows.filter((one) => one).map((one) => [one.identity, titleOf(one.identity, one.name)]));
    for (const [identity, label] of portraits) {
      if (!label.isConnected || !names.has(identity)) { label.remove(); portraits.delete(identity); continue; }
      label.title = label.lastChild.textContent = names.get(identity);
      label.firstChild.style.visibility = "";
      label.firstChild.src = `${portraitAddress(identity)}&at=${Date.now()}`;
    }
  }

  function arrange(block = 0, blocks = 1) {
    rows = new Array(found.matching);
    asked = new Set(Array.from({ length: blocks }, (_, order) => block + order));
    fill(found);
    chosen = Math.min(chosen, Math.max(0, rows.length - 1));
    sheet.hidden = found.matching_visits === 0;
    sheet.href = addressOf("/api/visits.csv", filters());
    count.textContent = `${plural(rows.length, ...T.people)}, ${plural(found.matching_visits, ...T.visits)}`;
    resize();
  }

  function fill(answer) {
    const own = new Map(answer.identities.map((one, order) => [one.identity, rows[answer.offset + order] = { ...one, visits: [] }]));
    for (const visit of answer.visits) own.get(visit[0]).visits.push(visit);
  }

  // Rows come in blocks, when they are scrolled to.
  async function ask(block) {
    if (asked.has(block)) return;
    asked.add(block);
    const own = version;
    try {
      const answer = await get("/api/timeline", { ...filters(), sort, limit: BLOCK, offset: block * BLOCK });
      if (own !== version) return;
      fill(answer);
      draw();
    } catch (error) { asked.delete(block); toast(error.message, { bad: true }); }
  }

  function resize() {
    const height = chart.clientHeight;
    view.style.height = `${height}px`;
    spacer.style.height = `${Math.max(0, AXIS + rows.length * ROW + 12 - height)}px`;
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    draw();
  }

  const x = (seconds) => (seconds - begin) / span * canvas.clientWidth;

  let waiting = false;
  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  }

  function paint() {
    const width = canvas.clientWidth, height = chart.clientHeight, scroll = chart.scrollTop;
    const pen = canvas.getContext("2d");
    if (!width || !pen) return;
    const style = {
      line: ink("--line"), ink: ink("--ink"), faint: ink("--faint"), soft: ink("--accent-soft"), surface: ink("--surface"), accent: ink("--accent"),
    };
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const first = Math.max(0, Math.floor(scroll / ROW)), last = Math.min(rows.length, Math.ceil((scroll + height - AXIS) / ROW));
    const ticks = ticksOf(width);
    pen.fillStyle = style.line;
    for (const tick of ticks.at) pen.fillRect(Math.round(x(tick)), AXIS, 1, height);
    for (let place_ = first; place_ < last; place_++) {
      const top = AXIS + place_ * ROW - scroll;
      if (place_ === chosen && document.activeElement === canvas) { pen.fillStyle = style.soft; pen.fillRect(0, top, width, ROW); }
      if (!rows[place_]) { ask(Math.floor(place_ / BLOCK)); continue; }
      for (const visit of rows[place_].visits) paintVisit(pen, visit, top + (ROW - BAR) / 2, width, style);
    }
    if (rows.length === 0) paintNobody(pen, width, style);
    paintAxis(pen, ticks, width, style);
    placeLabels(first, last, scroll);
  }

  // light-dark() is not understood by canvases, so the colour is read off an element.
  const probe = make("i", { hidden: true });
  place.append(probe);
  function ink(name) {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  }

  function paintVisit(pen, visit, top, width, style) {
    const [, camera, from, to, probability, byPerson] = visit;
    const left = x(from), right = Math.max(x(to), left + 3);
    if (right < 0 || left > width) return;
    const inside = [Math.max(left, -8), Math.min(right, width + 8)];
    pen.fillStyle = cameras.get(camera).colour;
    pen.beginPath();
    pen.roundRect(inside[0], top, inside[1] - inside[0], BAR, 4);
    pen.fill();
    if (probability !== null && probability < UNSURE) {
      pen.save();
      pen.clip();
      pen.strokeStyle = style.surface;
      pen.lineWidth = 2;
      pen.globalAlpha = 0.55;
      pen.beginPath();
      for (let at = inside[0] - BAR; at < inside[1]; at += 7) { pen.moveTo(at, top + BAR); pen.lineTo(at + BAR, top); }
      pen.stroke();
      pen.restore();
    }
    pen.strokeStyle = visit === hovered ? style.ink : byPerson ? style.accent : style.surface;
    pen.lineWidth = visit === hovered || byPerson ? 2 : 1; // the thin line parts visits that touch
    pen.beginPath();
    pen.roundRect(inside[0], top, inside[1] - inside[0], BAR, 4);
    pen.stroke();
  }

  function ticksOf(width) {
    const step = STEPS.find((one) => one / span * width >= 84) ?? 86400 * Math.ceil(span / 86400 / (width / 84));
    const at = [];
    for (let tick = Math.ceil(begin / step) * step; tick <= begin + span; tick += step) at.push(tick);
    return { step, at };
  }

  function paintNobody(pen, width, style) {
    pen.fillStyle = style.faint;
    pen.font = `14px ${getComputedStyle(canvas).fontFamily}`;
    pen.textAlign = "center";
    pen.fillText(T.nobodyThen, width / 2, AXIS + 80);
    pen.textAlign = "left";
  }

  function paintAxis(pen, ticks, width, style) {
    pen.fillStyle = style.surface;
    pen.fillRect(0, 0, width, AXIS);
    pen.fillStyle = style.line;
    pen.fillRect(0, AXIS - 1, width, 1);
    pen.font = `12px ${getComputedStyle(canvas).fontFamily}`;
    pen.textBaseline = "middle";
    pen.fillStyle = style.faint;
    for (const tick of ticks.at) {
      const text = ticks.step >= 86400 ? day(tick) : ticks.step < 1 ? `${clock(tick)}.${Math.round(tick % 1 * 10) % 10}` : clock(tick);
      if (x(tick) > 4 && x(tick) + 60 < width - 36) pen.fillText(text, x(tick) + 4, AXIS / 2);
    }
    pen.textAlign = "right";
    pen.fillText("UTC", width - 8, AXIS / 2);
    pen.textAlign = "left";
  }

  function placeLabels(first, last, scroll) {
    const wanted = new Set();
    for (let order = first; order < last; order++) {
      const row = rows[order];
      if (!row) continue;
      wanted.add(row.identity);
      let label = portraits.get(row.identity);
      if (!label) {
        label = make("a", { class: "label", href: `#/identity/${row.identity}`, tabindex: "-1", title: titleOf(row.identity, row.name) },
          make("img", { class: "crop", src: portraitAddress(row.identity), alt: "", loading: "lazy", onerror: (event) => { event.target.style.visibility = "hidden"; } }),
          make("span", {}, titleOf(row.identity, row.name)));
        portraits.set(row.identity, label);
      }
      label.style.top = `${AXIS + order * ROW - scroll}px`;
      label.classList.toggle("chosen", order === chosen && document.activeElement === canvas);
      if (!label.isConnected) labels.append(label);
    }
    for (const [identity, label] of portraits) if (!wanted.has(identity)) label.remove();
    if (portraits.size > 500) for (const [identity, label] of portraits) if (!label.isConnected) portraits.delete(identity);
  }

  function zoom(factor, at = begin + span / 2) {
    const next = Math.min(Math.max(span * factor, LEAST_SPAN), whole.span * 4);
    begin = at - (at - begin) * next / span;
    span = next;
    draw();
  }
  function fit() { begin = whole.begin; span = whole.span; draw(); }
  function visitAt(event) {
    const box = canvas.getBoundingClientRect();
    const at = begin + (event.clientX - box.left) / box.width * span, slack = 3 / box.width * span;
    const order = Math.floor((event.clientY - box.top - AXIS + chart.scrollTop) / ROW);
    if (event.clientY - box.top < AXIS || !rows[order]) return [null, -1, at];
    return [rows[order].visits.find((one) => one[2] - slack <= at && at <= one[3] + slack) ?? null, order, at];
  }

  chart.addEventListener("scroll", draw);
  canvas.addEventListener("wheel", (event) => {
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(Math.exp(event.deltaY * 0.002), visitAt(event)[2]); }
    else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) { event.preventDefault(); begin += sideways / canvas.clientWidth * span; draw(); }
  }, { passive: false });
  let grabbed = null;
  canvas.addEventListener("pointerdown", (event) => { grabbed = { x: event.clientX, begin, moved: false }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (grabbed) {
      grabbed.moved ||= Math.abs(event.clientX - grabbed.x) > 4;
      begin = grabbed.begin - (event.clientX - grabbed.x) / canvas.clientWidth * span;
      tip.hidden = true;
      draw();
      return;
    }
    const [visit, order] = visitAt(event);
    if (visit !== hovered) { hovered = visit; draw(); }
    tip.hidden = !visit;
    if (!visit) return;
    const row = rows[order];
    tip.replaceChildren(make("strong", {}, titleOf(row.identity, row.name)), make("br"),
      `${cameras.get(visit[1]).name}, ${duration(visit[3] - visit[2])}`, make("br"),
      make("span", { class: "faint" }, `${moment(visit[2])} – ${clock(visit[3])}`),
      ...(visit[4] === null ? [] : [make("br"), `${T.leastSure} ${percent(visit[4])}`]),
      ...(visit[5] ? [make("br"), T.byPerson] : []));
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  });
  canvas.addEventListener("pointerup", (event) => {
    const click = grabbed && !grabbed.moved;
    grabbed = null;
    const [, order] = visitAt(event);
    if (click && rows[order]) location.hash = `#/identity/${rows[order].identity}`;
  });
  canvas.addEventListener("pointerleave", () => { hovered = null; tip.hidden = true; draw(); });
  canvas.addEventListener("dblclick", (event) => zoom(0.5, visitAt(event)[2]));
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
  // The keys work at once, without a click into the chart.
  const focus = (event) => { if (event.target === document.body && event.key.startsWith("Arrow")) canvas.focus(); };
  document.addEventListener("keydown", focus);
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => { begin -= span * 0.1; draw(); }, ArrowRight: () => { begin += span * 0.1; draw(); },
      ArrowUp: () => choose(chosen - 1), ArrowDown: () => choose(chosen + 1),
      PageUp: () => choose(chosen - 10), PageDown: () => choose(chosen + 10),
      Home: () => choose(0), End: () => choose(rows.length - 1),
      "+": () => zoom(1 / 1.5), "=": () => zoom(1 / 1.5), "-": () => zoom(1.5), 0: fit,
      Enter: () => { if (rows[chosen]) location.hash = `#/identity/${rows[chosen].identity}`; },
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    tip.hidden = true;
    keys[event.key]();
  });
  function choose(order) {
    chosen = Math.max(0, Math.min(rows.length - 1, order));
    const top = chosen * ROW, room = chart.clientHeight - AXIS - ROW;
    if (top < chart.scrollTop) chart.scrollTop = top;
    if (top > chart.scrollTop + room) chart.scrollTop = top - room;
    canvas.setAttribute("aria-description", rows[chosen] ? `${titleOf(rows[chosen].identity, rows[chosen].name)}, ${plural(rows[chosen].visits.length, ...T.visits)}` : "");
    draw();
  }

  const watcher = new ResizeObserver(resize);
  watcher.observe(chart);
  window.addEventListener("themechange", draw);
  place.addEventListener("shown", () => arrange());
  const unfollow = follow(refresh);
  return () => { unfollow(); watcher.disconnect(); document.removeEventListener("keydown", focus); window.removeEventListener("themechange", draw); };
}
