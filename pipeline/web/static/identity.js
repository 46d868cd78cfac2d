// One identity: where it was, why its tracklets are one person, and the corrections of it.

import { addressOf, correct, cropAddress, get, portraitAddress } from "./api.js";
import { ask, dot, make, toast } from "./dom.js";
import { floorMap } from "./floor.js";
import { clock, colourOf, duration, moment, percent, plural, titleOf } from "./format.js";
import { CORRECT as C, PERSON as T } from "./words.js";

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
    title: C.splitOffTitle,
    text: `${plural(chosen.size, ...C.leave)} ${titleOf(number, found.name)} ${C.becomeOther}`,
    fields: [reason()], button: C.split, act: (form) => correct(`${path}/split`, { tracklets: [...chosen], why: form.get("why") }, again),
  }) }, C.splitOff);

  const head = make("div", { class: "head" },
    make("img", { class: "crop", src: portraitAddress(number), alt: `${T.bestOf} ${titleOf(number, found.name)}`, onerror: (event) => event.target.remove() }),
    make("div", {},
      make("h1", {}, titleOf(number, found.name)),
      make("dl", { class: "facts" }, [
        found.name ? [T.number, number] : null,
        [T.firstSeen, moment(found.first_seconds)], [T.lastSeen, moment(found.last_seconds)],
        [T.cameras, new Set(found.tracklets.map((one) => one.camera)).size],
        [T.tracklets, found.tracklets.length],
      ].filter(Boolean).map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", { class: "number" }, String(value)))))),
    make("div", { class: "actions edits" },
      make("div", { class: "row" },
        make("button", { type: "button", onclick: () => ask({
          title: C.name, text: C.nameText,
          fields: [make("label", { class: "stack" }, C.name, make("input", { name: "name", maxlength: "200", value: found.name || "", autocomplete: "off" }))],
          button: C.saveName, act: (form) => correct(`${path}/name`, { name: form.get("name") }, again),
        }) }, found.name ? C.rename : C.name),
        make("button", { type: "button", onclick: () => askOther(found, "merge", again) }, C.mergeWith),
        make("button", { type: "button", onclick: () => askOther(found, "apart", again) }, C.apartFrom)),
      make("div", { class: "row" }, splitChosen,
        make("button", { type: "button", class: "danger", onclick: () => askForget(found, again) }, C.forget))));

  const [floor, endFloor] = floorMap(number, new Map(found.cameras.map((one) => [one.id, one.name])), colours);
  let left = false;
  const clip = make("button", { type: "button", onclick: () => makeClip(number, clip, () => left) }, T.clip);
  place.append(make("div", { class: "page" },
    make("div", { class: "row" }, make("a", { href: "#/timeline" }, `← ${T.toTimeline}`), make("span", { class: "grow" }), clip,
      make("a", { class: "button", href: addressOf(`/api/identities/${number}/report`), download: "" }, T.report)), head,
    make("h2", {}, T.pictures), strips(found, colours),
    floor,
    make("h2", {}, T.visits),
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
      button.textContent = `${T.clipMaking} ${Math.round(100 * job.share)} %`;
      await new Promise((done) => { setTimeout(done, 700); });
    }
    toast(T.clipReady);
    make("a", { href: addressOf(`/media/clips/${number}`), download: "" }).click();
  } catch (error) { toast(error.message, { bad: true }); }
  button.disabled = false;
  button.textContent = T.clip;
}

// Two pictures with the model's maps, what was measured, and what the probability is made of.
function showEvidence(one, found, colours) {
  const other = found.tracklets.find((each) => each.id === one.pair.other.tracklet);
  const table = make("div", { role: "status" }, make("p", { class: "hint" }, T.making));
  const dialog = make("dialog", { class: "wide", "aria-label": T.evidence, onclose: () => dialog.remove() }, make("h2", {}, T.evidence),
    make("p", { class: "faint" }, T.evidenceText),
    make("div", { class: "proofs" }, [[other, one.pair.other], [one, one.pair.own]].map(([tracklet, crop]) => make("figure", {},
      make("div", { class: "two" }, make("img", { class: "crop", src: cropAddress(crop), alt: `${tracklet.camera}, ${clock(crop.seconds)}` }),
        make("img", { class: "crop", src: addressOf(`/media/evidence/${crop.tracklet}/${crop.frame}`), alt: T.map, onerror: (event) => event.target.remove() })),
      make("figcaption", {}, make("strong", {}, dot(colours.get(tracklet.camera_id)), tracklet.camera), make("span", { class: "faint number" }, `${T.track} ${tracklet.track}, ${clock(crop.seconds)}`))))),
    make("p", { class: "hint scale" }, T.hidden, make("i", { "aria-hidden": "true" }), T.seen),
    table, make("div", { class: "row end" }, make("button", { type: "button", onclick: () => dialog.close() }, T.close)));
  document.body.append(dialog);
  dialog.showModal();
  get(`/api/evidence/${other.id}/${one.id}`).then((proof) => {
    const line = ([term, value]) => make("div", {}, make("dt", {}, term), make("dd", { class: "number" }, value));
    const odds = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
    table.replaceChildren(make("dl", { class: "measured" }, [
      [T.ofPictures, one.pair.similarity.toFixed(2)], [T.ofTracklets, proof.similarity.toFixed(2)],
      proof.shared_mask === null ? null : [T.visible, percent(proof.shared_mask)],
      proof.gap_seconds > 0 ? [T.between, duration(proof.gap_seconds)] : [T.atOnceFor, duration(-proof.gap_seconds)],
      [T.possible, proof.possible ? T.yes : T.no],
      ...proof.parts.map((part) => [`${T.odds}, ${T.parts[part.weight]}`, odds(part.log_odds)]),
      [T.chanceOfTwo, percent(proof.probability)],
      one.probability === null ? null : [T.chanceOfLink, percent(one.probability)]].filter(Boolean).map(line)),
    make("p", { class: "hint" }, T.whyOther));
  }).catch((error) => table.replaceChildren(make("p", { class: "wrong", role: "alert" }, error.message)));
}

const reason = () => make("label", { class: "stack" }, C.reason, make("input", { name: "why", maxlength: "2000", autocomplete: "off" }));

function strips(found, colours) {
  const byCamera = new Map();
  for (const one of found.tracklets) {
    if (!byCamera.has(one.camera)) byCamera.set(one.camera, { id: one.camera_id, crops: [] });
    byCamera.get(one.camera).crops.push(...one.crops);
  }
  return make("div", { class: "strips" }, [...byCamera].map(([camera, { id, crops }]) => make("section", { class: "strip" },
    make("h3", {}, dot(colours.get(id)), camera),
    crops.length === 0 ? make("span", { class: "hint" }, T.noPicture) : make("div", {},
      crops.sort((a, b) => b.quality - a.quality).slice(0, CROPS_SHOWN).map((crop) => make("a", {
        href: `#/search/${crop.tracklet}/${crop.frame}`, title: `${clock(crop.seconds)}: ${T.searchThis}`, "aria-label": T.searchName(camera, clock(crop.seconds)) },
        make("img", { class: "crop", src: cropAddress(crop), alt: "", loading: "lazy" })))))));
}

export function chance(probability) {
  if (probability === null) return make("span", { class: "faint" }, T.unknown);
  return make("div", { class: probability < LOW ? "chance low" : "chance" },
    make("b", {}, percent(probability)), make("span", { class: "track", "aria-hidden": "true" }, make("i", { style: { width: `${100 * probability}%` } })));
}

function evidence(one, order) {
  if (one.by === "person") return make("div", { class: "evidence" }, make("span", { class: "by person" }, T.byPerson));
  if (one.similarity === null) return make("div", { class: "evidence hint" }, order === 0 ? T.firstTime : T.began);
  const seen = one.gap_seconds > 0 ? `${duration(one.gap_seconds)} ${T.after}` : T.atOnce;
  return make("div", { class: "evidence" }, chance(one.probability), make("div", { class: "hint number" },
    `${T.similarity} ${one.similarity.toFixed(2)}${one.shared_mask === null ? "" : `, ${percent(one.shared_mask)} ${T.visible}`}`, make("br"), seen), make("span", { class: "by" }, T.byModel));
}

function link(one, order, found, colours, path, again, chosen, splitChosen) {
  const box = make("input", { type: "checkbox", class: "edits", "aria-label": T.choose(one.camera, one.track), onchange: () => {
    if (box.checked) chosen.add(one.id); else chosen.delete(one.id);
    splitChosen.disabled = chosen.size === 0 || chosen.size === found.tracklets.length;
  } });
  const linked = one.pair && (one.similarity !== null || one.by === "person");
  const cameraOf = new Map(found.tracklets.map((each) => [each.id, each]));
  const crops = linked ? [one.pair.other, one.pair.own] : one.crops.slice(0, 1);
  return make("li", { class: "link" }, box,
    make("div", {}, make("strong", {}, dot(colours.get(one.camera_id)), one.camera, make("span", { class: "faint hint" }, `${T.track} ${one.track}`)),
      make("div", { class: "number" }, `${clock(one.first_seconds)} – ${clock(one.last_seconds)}`),
      make("div", { class: "hint" }, `${duration(one.last_seconds - one.first_seconds)}, ${plural(one.observations, ...T.boxes)} · `,
        make("a", { href: `#/player/${one.first_seconds}/${one.camera_id}/${found.identity}`, "aria-label": T.playName(one.camera, clock(one.first_seconds)) }, `▶ ${T.play}`))),
    make("div", { class: "two" }, crops.map((crop, side) => make("figure", {},
      make("img", { class: "crop", src: cropAddress(crop), loading: "lazy", alt: linked ? (side ? T.ofVisit : T.ofOthers) : T.best }),
      make("figcaption", { class: "number", title: cameraOf.get(crop.tracklet).camera }, dot(colours.get(cameraOf.get(crop.tracklet).camera_id)), clock(crop.seconds))))),
    make("div", {}, evidence(one, order), linked ? make("button", { type: "button", class: "link-button", onclick: () => showEvidence(one, found, colours) }, T.why) : null),
    order === 0 ? make("span") : make("button", { type: "button", class: "edits", title: C.fromHere, onclick: () => ask({
      title: C.splitHere, text: C.splitText(clock(one.first_seconds)),
      fields: [reason()], button: C.splitHere, act: (form) => correct(`${path}/split`, { from_tracklet: one.id, why: form.get("why") }, again),
    }) }, C.splitHere));
}

function askOther(found, kind, again) {
  const merging = kind === "merge";
  const preview = make("div", { class: "preview hint" }, C.typeNumber);
  const other = make("input", { name: "other", type: "number", min: "1", required: true, autocomplete: "off" });
  other.addEventListener("input", async () => {
    const number = Number(other.value);
    try {
      const person = number > 0 && number !== found.identity ? await get(`/api/identities/${number}`) : null;
      if (Number(other.value) !== number) return;
      preview.replaceChildren(...(person ? [
        make("img", { class: "crop", src: portraitAddress(found.identity), alt: titleOf(found.identity, found.name) }), C.and,
        make("img", { class: "crop", src: portraitAddress(number), alt: titleOf(number, person.name) }),
        make("span", {}, `${titleOf(number, person.name)}, ${C.firstSeen} ${clock(person.first_seconds)}`)] : [C.typeOther]));
    } catch (error) { if (Number(other.value) === number) preview.replaceChildren(error.message); }
  });
  const anyway = make("label", { class: "field" }, make("input", { type: "checkbox", name: "anyway" }), C.anyway);
  ask({
    title: merging ? C.mergeTitle : C.apartTitle,
    text: merging ? C.mergeText : C.apartText,
    fields: [make("label", { class: "stack" }, C.otherNumber, other), preview, reason(), merging ? anyway : null].filter(Boolean),
    button: merging ? C.merge : C.apart,
    act: (form) => correct(`/api/identities/${found.identity}/${kind}`, { other: Number(form.get("other")), anyway: form.get("anyway") === "on", why: form.get("why") }, again),
  });
}

function askForget(found, again) {
  const title = titleOf(found.identity, found.name);
  ask({
    title: C.forgetTitle(title),
    text: C.forgetText(plural(found.tracklets.length, ...C.tracklets), plural(found.observations, ...C.boxes)),
    button: C.goOn, danger: true,
    act: async () => { ask({
      title: C.forGoodTitle, text: C.forGoodText(found.identity, title),
      fields: [make("label", { class: "stack" }, C.number, make("input", { name: "again", inputmode: "numeric", required: true, autocomplete: "off" })), reason()],
      button: C.forGood, danger: true,
      act: (form) => correct(`/api/identities/${found.identity}/forget`, { again: Number(form.get("again")), why: form.get("why") }, again),
    }); },
  });
}
