// One identity: where it was, why its tracklets are one person, and the corrections of it.

import { addressOf, correct, cropAddress, get, portraitAddress } from "./api.js";
import { ask, dot, make, toast } from "./dom.js";
import { floorMap } from "./floor.js";
import { clock, colourOf, duration, moment, PERSON, percent, plural, titleOf } from "./words.js";

const LOW = 0.75, CROPS_SHOWN = 4;

export async function showIdentity(place, number) {
  const found = await get(`/api/identities/${number}`);
  const colours = new Map(found.cameras.map((one, order) => [one.id, colourOf(order)]));
  const path = `/api/identities/${number}`;
  const again = (done) => {
    const kept = done.kind === "merge" ? done.identities[0] : number;
    if (done.kind === "forget") location.hash = "#/";
    else if (kept !== number) location.hash = `#/identity/${kept}`;
    else window.dispatchEvent(new Event("hashchange"));
  };
  const chosen = new Set();
  const splitChosen = make("button", { type: "button", disabled: true, onclick: () => ask({
    title: "Split off the chosen tracklets",
    text: `${plural(chosen.size, "tracklet leaves", "tracklets leave")} ${titleOf(number, found.name)} and become another person.`,
    fields: [reason()], button: "Split", act: (form) => correct(`${path}/split`, { tracklets: [...chosen], why: form.get("why") }, again),
  }) }, "Split off chosen");

  const head = make("div", { class: "head" },
    make("img", { class: "crop", src: portraitAddress(number), alt: `Best picture of ${titleOf(number, found.name)}`, onerror: (event) => event.target.remove() }),
    make("div", {},
      make("h1", {}, titleOf(number, found.name)),
      make("dl", { class: "facts" }, [
        found.name ? ["Number", number] : null,
        ["First seen", moment(found.first_seconds)], ["Last seen", moment(found.last_seconds)],
        ["Cameras", new Set(found.tracklets.map((one) => one.camera)).size],
        ["Tracklets", found.tracklets.length],
      ].filter(Boolean).map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", { class: "number" }, String(value)))))),
    make("div", { class: "actions edits" },
      make("div", { class: "row" },
        make("button", { type: "button", onclick: () => ask({
          title: "Name", text: "Exports and videos show the name. Empty takes it away.",
          fields: [make("label", { class: "stack" }, "Name", make("input", { name: "name", maxlength: "200", value: found.name || "", autocomplete: "off" }))],
          button: "Save name", act: (form) => correct(`${path}/name`, { name: form.get("name") }, again),
        }) }, found.name ? "Rename" : "Name"),
        make("button", { type: "button", onclick: () => askOther(found, "merge", again) }, "Merge with…"),
        make("button", { type: "button", onclick: () => askOther(found, "apart", again) }, "Not the same as…")),
      make("div", { class: "row" }, splitChosen,
        make("button", { type: "button", class: "danger", onclick: () => askForget(found, again) }, "Forget…"))));

  const [floor, endFloor] = floorMap(number, new Map(found.cameras.map((one) => [one.id, one.name])), colours);
  let left = false;
  const clip = make("button", { type: "button", onclick: () => makeClip(number, clip, () => left) }, PERSON.clip);
  place.append(make("div", { class: "page" },
    make("div", { class: "row" }, make("a", { href: "#/timeline" }, "← Timeline"), make("span", { class: "grow" }), clip,
      make("a", { class: "button", href: addressOf(`/api/identities/${number}/report`), download: "" }, PERSON.report)), head,
    make("h2", {}, "Best pictures by camera"), strips(found, colours),
    floor,
    make("h2", {}, "Visits, and why they are one person"),
    make("ol", { class: "links" }, found.tracklets.map((one, order) => link(one, order, found, colours, path, again, chosen, splitChosen)))));
  return () => { left = true; endFloor(); };
}

async function makeClip(number, button, left) {
  button.disabled = true;
  try {
    for (;;) {
      const job = await get(`/api/identities/${number}/clip`);
      if (left()) return;
      if (job.state === "failed") throw new Error(job.explanation);
      if (job.state === "ready") break;
      button.textContent = `${PERSON.clipMaking} ${Math.round(100 * job.share)} %`;
      await new Promise((done) => { setTimeout(done, 700); });
    }
    toast(PERSON.clipReady);
    make("a", { href: addressOf(`/media/clips/${number}`), download: "" }).click();
  } catch (error) { toast(error.message, { bad: true }); }
  button.disabled = false;
  button.textContent = PERSON.clip;
}

function showEvidence(one) {
  const waiting = make("p", { class: "hint" }, PERSON.making);
  const picture = make("img", { class: "proof", alt: PERSON.evidenceAlt, src: addressOf(`/media/evidence/${one.id}/${one.pair.other.tracklet}`),
    onload: () => waiting.remove(), onerror: () => { picture.remove(); waiting.textContent = PERSON.evidenceGone; } });
  const dialog = make("dialog", { class: "wide", "aria-label": PERSON.evidence, onclose: () => dialog.remove() }, make("h2", {}, PERSON.evidence),
    make("p", { class: "faint" }, PERSON.evidenceText), waiting, picture,
    make("div", { class: "row end" }, make("button", { type: "button", onclick: () => dialog.close() }, PERSON.close)));
  document.body.append(dialog);
  dialog.showModal();
}

const reason = () => make("label", { class: "stack" }, "Reason (optional)", make("input", { name: "why", maxlength: "2000", autocomplete: "off" }));

function strips(found, colours) {
  const byCamera = new Map();
  for (const one of found.tracklets) {
    if (!byCamera.has(one.camera)) byCamera.set(one.camera, { id: one.camera_id, crops: [] });
    byCamera.get(one.camera).crops.push(...one.crops);
  }
  return make("div", { class: "strips" }, [...byCamera].map(([camera, { id, crops }]) => make("section", { class: "strip" },
    make("h3", {}, dot(colours.get(id)), camera),
    crops.length === 0 ? make("span", { class: "hint" }, "No picture is stored any more.") : make("div", {},
      crops.sort((a, b) => b.quality - a.quality).slice(0, CROPS_SHOWN).map((crop) => make("a", {
        href: `#/search/${crop.tracklet}/${crop.frame}`, title: `${clock(crop.seconds)}: search for this picture`, "aria-label": `Search for the picture from ${camera} at ${clock(crop.seconds)}` },
        make("img", { class: "crop", src: cropAddress(crop), alt: "", loading: "lazy" })))))));
}

export function chance(probability) {
  if (probability === null) return make("span", { class: "faint" }, "probability unknown");
  return make("div", { class: probability < LOW ? "chance low" : "chance" },
    make("b", {}, percent(probability)), make("span", { class: "track", "aria-hidden": "true" }, make("i", { style: { width: `${100 * probability}%` } })));
}

function evidence(one, order) {
  if (one.by === "person") return make("div", { class: "evidence" }, make("span", { class: "by person" }, "by a person"));
  if (one.similarity === null) return make("div", { class: "evidence hint" }, order === 0 ? "The first time seen." : "The model began the person with this visit.");
  const seen = one.gap_seconds > 0 ? `${duration(one.gap_seconds)} after last seen` : "at the same time as another camera";
  return make("div", { class: "evidence" }, chance(one.probability), make("div", { class: "hint number" },
    `similarity ${one.similarity.toFixed(2)}${one.shared_mask === null ? "" : `, ${percent(one.shared_mask)} visible in both`}`, make("br"), seen), make("span", { class: "by" }, "by the model"));
}

function link(one, order, found, colours, path, again, chosen, splitChosen) {
  const box = make("input", { type: "checkbox", class: "edits", "aria-label": `Choose ${one.camera}, track ${one.track}`, onchange: () => {
    if (box.checked) chosen.add(one.id); else chosen.delete(one.id);
    splitChosen.disabled = chosen.size === 0 || chosen.size === found.tracklets.length;
  } });
  const linked = one.pair && (one.similarity !== null || one.by === "person");
  const crops = linked ? [one.pair.other, one.pair.own] : one.crops.slice(0, 1);
  return make("li", { class: "link" }, box,
    make("div", {}, make("strong", {}, dot(colours.get(one.camera_id)), one.camera, make("span", { class: "faint hint" }, `track ${one.track}`)),
      make("div", { class: "number" }, `${clock(one.first_seconds)} – ${clock(one.last_seconds)}`),
      make("div", { class: "hint" }, `${duration(one.last_seconds - one.first_seconds)}, ${plural(one.observations, "box", "boxes")} · `,
        make("a", { href: `#/player/${one.first_seconds}/${one.camera_id}/${found.identity}`, "aria-label": `Play ${one.camera} from ${clock(one.first_seconds)}` }, "▶ play"))),
    make("div", { class: "two" }, crops.flatMap((crop, side) => [side ? make("span", { title: `similarity of these two pictures: ${one.pair.similarity.toFixed(3)}` }, one.pair.similarity.toFixed(2)) : null,
      make("img", { class: "crop", src: cropAddress(crop), loading: "lazy", title: clock(crop.seconds),
        alt: linked ? (side ? "Most similar picture of this visit" : "Most similar picture of the others") : "Best picture" })])),
    make("div", {}, evidence(one, order), linked ? make("button", { type: "button", class: "link-button", onclick: () => showEvidence(one) }, PERSON.why) : null),
    order === 0 ? make("span") : make("button", { type: "button", class: "edits", title: "From this visit on, it is somebody else", onclick: () => ask({
      title: "Split here", text: `All tracklets that begin at ${clock(one.first_seconds)} or later become another person.`,
      fields: [reason()], button: "Split here", act: (form) => correct(`${path}/split`, { from_tracklet: one.id, why: form.get("why") }, again),
    }) }, "Split here"));
}

function askOther(found, kind, again) {
  const merging = kind === "merge";
  const preview = make("div", { class: "preview hint" }, "Type the number of a person.");
  const other = make("input", { name: "other", type: "number", min: "1", required: true, autocomplete: "off" });
  other.addEventListener("input", async () => {
    const number = Number(other.value);
    try {
      const person = number > 0 && number !== found.identity ? await get(`/api/identities/${number}`) : null;
      if (Number(other.value) !== number) return;
      preview.replaceChildren(...(person ? [
        make("img", { class: "crop", src: portraitAddress(found.identity), alt: titleOf(found.identity, found.name) }), "and",
        make("img", { class: "crop", src: portraitAddress(number), alt: titleOf(number, person.name) }),
        make("span", {}, `${titleOf(number, person.name)}, first seen ${clock(person.first_seconds)}`)] : ["Type the number of another person."]));
    } catch (error) { if (Number(other.value) === number) preview.replaceChildren(error.message); }
  });
  const anyway = make("label", { class: "field" }, make("input", { type: "checkbox", name: "anyway" }), "even if one camera sees both at the same time");
  ask({
    title: merging ? "Merge with another person" : "Not the same as another person",
    text: merging ? "Both become one person, who keeps the lower number." : "The two stay apart, whatever a later linking finds.",
    fields: [make("label", { class: "stack" }, "Number of the other person", other), preview, reason(), merging ? anyway : null].filter(Boolean),
    button: merging ? "Merge" : "Keep apart",
    act: (form) => correct(`/api/identities/${found.identity}/${kind}`, { other: Number(form.get("other")), anyway: form.get("anyway") === "on", why: form.get("why") }, again),
  });
}

function askForget(found, again) {
  const title = titleOf(found.identity, found.name);
  ask({
    title: `Forget ${title}?`,
    text: `This deletes all that is stored about this person: ${plural(found.tracklets.length, "tracklet", "tracklets")}, ${plural(found.observations, "box", "boxes")}, pictures and name. There is no undo. Footage and exported files stay as they are.`,
    button: "Go on…", danger: true,
    act: async () => { ask({
      title: "Forget for good?", text: `Type the number ${found.identity} to delete ${title}.`,
      fields: [make("label", { class: "stack" }, "Number", make("input", { name: "again", inputmode: "numeric", required: true, autocomplete: "off" })), reason()],
      button: "Forget for good", danger: true,
      act: (form) => correct(`/api/identities/${found.identity}/forget`, { again: Number(form.get("again")), why: form.get("why") }, again),
    }); },
  });
}
