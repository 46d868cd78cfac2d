// The least sure links, one by one: same, different, or skip.

import { correct, cropAddress, get } from "./api.js";
import { empty, make, toast } from "./dom.js";
import { chance } from "./identity.js";
import { clock, duration, plural, titleOf } from "./format.js";
import { REVIEW as T } from "./words.js";

export async function showReview(place) {
  let { links, total, without_probability: unknown } = await get("/api/review");
  if (links.length === 0) {
    place.append(unknown ? empty(T.noProbabilities, T.earlier, T.linkAgain)
      : empty(T.nothing, T.nothingWhy));
    return undefined;
  }
  const skipped = new Set();
  let at = null, busy = false;
  const page = make("div", { class: "page review" });
  place.append(page);

  async function next() {
    at = null;
    const one = links.find((link) => !skipped.has(link.id));
    if (!one) {
      page.replaceChildren(empty(T.all, skipped.size ? plural(skipped.size, ...T.skipped) : T.none,
        make("button", { type: "button", onclick: () => { skipped.clear(); again(); } }, T.again)));
      return;
    }
    const found = await get(`/api/links/${one.id}`);
    if (!found.pair) { skipped.add(one.id); await next(); return; }
    at = found;
    page.replaceChildren(
      make("h1", {}, T.title),
      make("p", { class: "faint" }, `${plural(total, ...T.waiting)} ${T.order} ${T.bothAre} `,
        make("a", { href: `#/identity/${one.identity}` }, titleOf(one.identity, one.name)), "."),
      make("div", { class: "sides" }, [[found.other, found.pair.other], [found.own, found.pair.own]].map(([tracklet, crop]) =>
        make("figure", {}, make("img", { class: "crop", src: cropAddress(crop), alt: `${tracklet.camera} ${T.at} ${clock(crop.seconds)}` }),
          make("figcaption", {}, make("strong", {}, tracklet.camera), make("br"), make("span", { class: "number" }, `${T.picture} ${clock(crop.seconds)}`), make("br"),
            make("span", { class: "faint number" }, `${T.visit} ${clock(tracklet.first_seconds)} – ${clock(tracklet.last_seconds)}`))))),
      make("div", { class: "row", style: { justifyContent: "center", gap: "1.25rem" } }, make("div", { style: { width: "15rem" } }, chance(one.probability)),
        make("span", { class: "hint number" }, `${T.similarity} ${one.similarity.toFixed(2)}`),
        one.gap_seconds === null ? null : make("span", { class: "hint number" }, one.gap_seconds > 0 ? `${duration(one.gap_seconds)} ${T.after}` : T.atOnce)),
      make("div", { class: "answers edits" },
        make("button", { type: "button", class: "primary", onclick: () => decide("same") }, `${T.same} `, make("kbd", {}, "S")),
        make("button", { type: "button", onclick: () => decide("different") }, `${T.different} `, make("kbd", {}, "D")),
        make("button", { type: "button", onclick: () => decide("skip") }, `${T.skip} `, make("kbd", {}, "K"))),
      make("p", { class: "hint" }, T.hint));
  }

  async function again() {
    ({ links, total } = await get("/api/review"));
    await next();
  }

  async function decide(answer) {
    if (!at || busy) return;
    busy = true;
    const { own, other } = at;
    try {
      if (answer === "skip") { skipped.add(own.id); await next(); }
      else if (answer === "same") await correct(`/api/links/${own.id}/confirm`, { other: other.id, why: "review" }, () => {});
      else await correct(`/api/identities/${own.identity}/split`, { tracklets: [own.id], why: "review" }, () => {});
      if (answer !== "skip") await again();
    } catch (error) { toast(error.message, { bad: true }); }
    busy = false;
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog")) return;
    const answer = { s: "same", d: "different", k: "skip", ArrowRight: "skip" }[event.key];
    if (answer) { event.preventDefault(); decide(answer); }
  }
  document.addEventListener("keydown", key);
  await next();
  return () => document.removeEventListener("keydown", key);
}
