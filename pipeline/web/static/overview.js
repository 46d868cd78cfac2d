// The first page: the run's state live, cameras, people over time, and what waits for a decision.

import { addressOf, cropAddress, get, watch } from "./api.js";
import { dot, empty, make } from "./dom.js";
import { clock, colourOf, day, duration, plural } from "./format.js";
import { NUMBERS, OVERVIEW as T } from "./words.js";

export async function showOverview(place) {
  const found = await get("/api/overview");
  let { live } = found;
  let before = null; // footage seconds and wall seconds of an earlier event, from which the speed follows
  if (live.cameras.length === 0) { place.append(empty(T.noCameras, T.noCamerasWhy)); return undefined; }
  const number = (text) => make("div", { class: "figure" }, make("b", { class: "number" }), make("span", {}, text));
  const figures = { status: number(""), people: number(T.people), now: number(T.peopleNow), tracklets: number(T.tracklets) };
  const cards = new Map(live.cameras.map((camera, order) => {
    const picture = make("img", { alt: `${T.lastFrame} ${camera.name}`, src: addressOf(`/media/previews/${camera.id}`), onerror: (event) => {
      const newest = found.newest[camera.id];
      if (newest && !event.target.dataset.crop) { event.target.dataset.crop = "1"; event.target.classList.add("portrait"); event.target.src = cropAddress(newest); }
      else event.target.replaceWith(make("span", { class: "hint" }, T.noPicture));
    } });
    const text = make("span", { class: "hint number" });
    const badge = make("span", { class: "by" });
    const element = make("a", { class: "card", href: "#/player" }, make("div", { class: "frame" }, picture),
      make("div", { class: "row" }, dot(colourOf(order)), make("strong", {}, camera.name), make("span", { class: "grow" }), badge), text);
    return [camera.id, { element, text, badge, picture }];
  }));
  const chart = make("canvas", { role: "img" });
  const tip = make("output", { class: "hint number" });
  place.append(make("div", { class: "page" },
    make("div", { class: "figures", role: "status" }, Object.values(figures)),
    make("div", { class: "waiting" },
      live.tracklets ? [waiting(found.unsure, T.unsure, "#/review", T.review), waiting(found.undecided, T.undecided, null)] : null),
    make("h2", {}, T.chart), make("div", { class: "panel" }, chart, tip),
    make("h2", {}, T.cameras), make("div", { class: "cards" }, [...cards.values()].map((one) => one.element))));

  function waiting(count, words, href, action) {
    const text = count === 0 ? words[2] : plural(count, words[0], words[1]);
    return make("p", { class: count ? "note" : "note calm" }, text, " ", count && href ? make("a", { href }, action) : null);
  }

  function show() {
    figures.status.firstChild.textContent = T.status[live.status] ?? live.status;
    figures.status.lastChild.textContent = live.status === "running" ? speedText() : live.now_seconds === null ? "" : `${T.until} ${day(live.now_seconds)}, ${clock(live.now_seconds)} UTC`;
    figures.status.classList.toggle("live", live.status === "running");
    figures.people.firstChild.textContent = live.people.toLocaleString(NUMBERS.language);
    figures.now.firstChild.textContent = live.people_now.toLocaleString(NUMBERS.language);
    figures.now.lastChild.textContent = live.status === "running" ? T.peopleNow : T.peopleEnd;
    figures.tracklets.firstChild.textContent = live.tracklets.toLocaleString(NUMBERS.language);
    for (const camera of live.cameras) {
      const card = cards.get(camera.id);
      if (!card) continue;
      card.badge.textContent = T.status[camera.status] ?? camera.status;
      card.badge.classList.toggle("bad", camera.status === "failed");
      card.text.textContent = camera.error || (camera.last_seconds === null ? T.noFrame : `${plural(camera.people, ...T.personAt)} ${T.at} ${clock(camera.last_seconds)} UTC`);
    }
  }

  function speedText() {
    const footage = live.cameras.reduce((sum, one) => sum + (one.last_seconds ?? 0), 0) / live.cameras.length, at = performance.now() / 1000;
    if (before && at - before.at > 1 && live.cameras.length === before.cameras) before.speed = (footage - before.footage) / (at - before.at);
    if (!before || at - before.at > 15 || live.cameras.length !== before.cameras) before = { at, footage, cameras: live.cameras.length, speed: before?.speed };
    return before.speed === undefined ? T.running : `${T.running}, ${before.speed.toFixed(1)}× ${T.realTime}`;
  }

  function paint(event) {
    const { begin, step, people } = found.chart, width = chart.clientWidth, height = chart.clientHeight;
    if (!width) return;
    chart.width = Math.round(width * devicePixelRatio);
    chart.height = Math.round(height * devicePixelRatio);
    const pen = chart.getContext("2d"), style = getComputedStyle(chart);
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.font = `12px ${style.fontFamily}`;
    const ink = getComputedStyle(tip).color, accent = style.color;
    pen.fillStyle = ink;
    if (!people.length) { pen.fillText(live.status === "running" ? T.nobodyYet : T.nobody, 8, height / 2); return; }
    const most = Math.max(...people), room = height - 38, bar = width / people.length;
    const hovered = event ? Math.floor((event.clientX - chart.getBoundingClientRect().left) / bar) : -1;
    pen.fillStyle = accent;
    people.forEach((count, order) => {
      pen.globalAlpha = order === hovered ? 1 : 0.75;
      pen.fillRect(order * bar, 18 + room * (1 - count / most), Math.max(1, bar - 1), room * count / most);
    });
    pen.globalAlpha = 1;
    pen.fillStyle = ink;
    pen.fillText(`${T.most} ${most}`, 2, 11);
    const ticks = Math.max(1, Math.min(8, Math.floor(width / 110), Math.floor(people.length * step))); // no second twice
    for (let order = 0; order <= ticks; order++) {
      pen.textAlign = order === 0 ? "left" : order === ticks ? "right" : "center";
      pen.fillText(clock(begin + people.length * step * order / ticks), width * order / ticks, height - 5);
    }
    tip.textContent = people[hovered] === undefined ? `${day(begin)}, ${duration(step)} ${T.perBar}` : `${clock(begin + hovered * step)}: ${plural(people[hovered], ...T.personAt)}`;
  }
  chart.setAttribute("aria-label", found.chart.people.length ? `${T.chart}: ${T.most} ${Math.max(...found.chart.people)}` : T.nobody);
  chart.addEventListener("pointermove", paint);
  chart.addEventListener("pointerleave", () => paint());
  const themed = () => paint();
  window.addEventListener("themechange", themed);

  let pictured = Date.now();
  const unwatch = watch((next) => {
    const ended = live.status === "running" && next.status !== "running";
    live = next;
    show();
    if (ended) { window.dispatchEvent(new Event("hashchange")); return; }
    if (live.status === "running" && Date.now() - pictured > 10000) {
      pictured = Date.now();
      for (const [id, card] of cards) if (card.picture.isConnected && !card.picture.dataset.crop) card.picture.src = addressOf(`/media/previews/${id}`, { at: pictured });
    }
  });
  const watcher = new ResizeObserver(() => paint());
  watcher.observe(chart);
  show();
  return () => { unwatch(); watcher.disconnect(); window.removeEventListener("themechange", themed); };
}
