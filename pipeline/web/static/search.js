// Search by photo: drop, paste or choose a picture, or come with a stored crop; then choose a person, cameras and times.

import { cropAddress, get, portraitAddress, upload } from "./api.js";
import { chance } from "./identity.js";
import { dot, make, toast } from "./dom.js";
import { clock, colourOf, day, plural, titleOf } from "./format.js";
import { timeFields } from "./times.js";
import { SEARCH as T } from "./words.js";

const VISITS_SHOWN = 4;

export async function showSearch(place, tracklet, rest) {
  const timeline = await get("/api/timeline", { from: 0, to: 0 }); // cameras and the span, no visits
  const cameras = new Map(timeline.cameras.map((one, order) => [one.id, { ...one, colour: colourOf(order) }]));
  const off = new Set();
  const range = { from: null, to: null };
  let query = rest.length && Number.isFinite(tracklet) && tracklet > 0 ? { tracklet, frame: Number(rest[0]) } : null;
  let asked = 0;
  const file = make("input", { type: "file", accept: "image/jpeg,image/png,image/webp", class: "hidden", tabindex: "-1", "aria-hidden": "true", onchange: () => { if (file.files[0]) take(file.files[0]); file.value = ""; } });
  const drop = make("button", { type: "button", class: "drop", onclick: () => file.click() }, make("strong", {}, T.drop), make("span", { class: "hint" }, T.dropHint));
  const people = make("div", { class: "people-found", role: "group", "aria-label": T.whichPerson });
  const results = make("div", { class: "results", role: "status", "aria-live": "polite" });
  const chips = [...cameras.values()].map((camera) => make("button", {
    class: "chip", type: "button", "aria-pressed": "true",
    onclick: (event) => {
      if (off.has(camera.id)) off.delete(camera.id); else off.add(camera.id);
      event.currentTarget.setAttribute("aria-pressed", String(!off.has(camera.id)));
      search();
    },
  }, dot(camera.colour), make("span", { title: camera.name }, camera.name)));
  const times = timeFields(timeline.first_seconds, timeline.last_seconds, range, search);
  place.append(make("div", { class: "page search" }, make("h1", {}, T.title), file, drop, people,
    make("div", { class: "row narrow" }, make("div", { class: "row", role: "group", "aria-label": T.cameras }, chips), times), results));

  async function take(blob) {
    if (!blob.type.startsWith("image/")) { toast(T.noPicture, { bad: true }); return; }
    const own = ++asked;
    people.replaceChildren(make("p", { class: "hint" }, T.looking));
    results.replaceChildren();
    try {
      const photo = await upload("/api/search/photo", blob);
      if (own !== asked) return;
      showPeople(photo);
    } catch (error) { if (own === asked) people.replaceChildren(make("p", { class: "wrong", role: "alert" }, error.message)); }
  }

  function showPeople(photo) {
    const buttons = photo.people.map((one, order) => make("button", {
      type: "button", class: "pick", "aria-pressed": "false", "aria-label": `${T.person} ${order + 1}`,
      onclick: (event) => {
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === event.currentTarget));
        query = { photo: photo.photo, person: order };
        search();
      },
    }, make("img", { class: "crop", alt: "", src: `/media/photos/${photo.photo}/${order}` })));
    people.replaceChildren(make("p", { class: "hint" }, photo.people.length === 1 ? T.onePerson : `${plural(photo.people.length, T.person, T.people)} ${T.chooseOne}`), make("div", { class: "row" }, buttons));
    if (buttons.length === 1) buttons[0].click();
  }

  async function search() {
    if (!query) return;
    const own = ++asked;
    if (off.size === cameras.size) { results.replaceChildren(make("p", { class: "hint" }, T.chooseCamera)); return; }
    const where = { camera: off.size ? [...cameras.keys()].filter((id) => !off.has(id)) : [] };
    if (range.from !== null) where.from = range.from;
    if (range.to !== null) where.to = range.to;
    if (!results.childElementCount) results.replaceChildren(make("p", { class: "hint" }, T.searching));
    try {
      const { found } = await get("/api/search", { ...query, ...where });
      if (own !== asked) return;
      results.replaceChildren(found.length ? make("ol", { class: "ranked" }, found.map(result)) : make("p", { class: "hint" }, T.nobody));
    } catch (error) { if (own === asked) results.replaceChildren(make("p", { class: "wrong", role: "alert" }, error.message)); }
  }

  function result(one) {
    const title = titleOf(one.identity, one.name);
    return make("li", { class: "found" },
      make("a", { href: `#/identity/${one.identity}` }, make("img", { class: "crop", alt: title, src: portraitAddress(one.identity), loading: "lazy" })),
      make("div", {}, make("a", { href: `#/identity/${one.identity}` }, make("strong", {}, title)), chance(one.probability),
        make("div", { class: "hint number" }, `${T.similarity} ${one.similarity.toFixed(2)}`),
        make("ul", { class: "visits" }, one.visits.slice(0, VISITS_SHOWN).map((visit) => make("li", { class: "number" }, dot(cameras.get(visit.camera).colour),
          make("a", { href: `#/player/${visit.first_seconds}/${visit.camera}/${one.identity}`, title: T.play }, `${cameras.get(visit.camera).name}, ${clock(visit.first_seconds)}`))),
        one.visits.length > VISITS_SHOWN ? make("li", { class: "hint" }, `${plural(one.visits.length - VISITS_SHOWN, T.moreVisit, T.moreVisits)}`) : null)));
  }

  const over = (event) => { event.preventDefault(); drop.classList.toggle("over", event.type === "dragover"); };
  const dropped = (event) => { event.preventDefault(); drop.classList.remove("over"); const one = event.dataTransfer?.files[0]; if (one) take(one); };
  const pasted = (event) => { const one = [...(event.clipboardData?.files ?? [])][0]; if (one) { event.preventDefault(); take(one); } };
  const events = { dragover: over, dragleave: over, drop: dropped, paste: pasted };
  for (const [name, act] of Object.entries(events)) document.addEventListener(name, act);
  if (query) {
    people.replaceChildren(make("p", { class: "hint" }, T.storedCrop), make("div", { class: "row" }, make("span", { class: "pick", "aria-pressed": "true" }, make("img", { class: "crop", alt: T.storedCrop, src: cropAddress(query), onerror: () => people.replaceChildren() }))));
    search();
  } else results.replaceChildren(make("p", { class: "hint" }, timeline.total ? `${T.among} ${plural(timeline.total, T.person, T.people)}, ${day(timeline.first_seconds)}.` : T.nobodyStored));
  return () => { asked++; for (const [name, act] of Object.entries(events)) document.removeEventListener(name, act); };
}
