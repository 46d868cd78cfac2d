// Who decided what, when, and why; every decision in force can be undone.

import { correct, get } from "./api.js";
import { empty, make, toast } from "./dom.js";

export async function showHistory(place) {
  const found = await get("/api/history");
  if (found.length === 0) {
    place.append(empty("No corrections yet", "Names, merges, splits and answers of the review are listed here, with who decided them."));
    return;
  }
  const again = () => window.dispatchEvent(new Event("hashchange"));
  const undo = async (number, button) => {
    button.disabled = true;
    try { await correct("/api/undo", { correction: number }, again); } catch (error) { toast(error.message, { bad: true }); button.disabled = false; }
  };
  place.append(make("div", { class: "page" }, make("h1", {}, "History"), make("p", { class: "faint" }, "Corrections of this run, the newest first."),
    make("table", {}, make("thead", {}, make("tr", {}, ["When, UTC", "What", "Who", "Why", ""].map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, found.map((one) => make("tr", { class: one.undone_by ? "undone" : null },
        make("td", { class: "number" }, one.created.slice(0, 19).replace("T", " ")), make("td", {}, one.what), make("td", {}, one.who), make("td", {}, one.why),
        make("td", {}, one.undone_by ? make("span", { class: "hint" }, "undone") : one.kind === "forget" ? make("span", { class: "hint" }, "for good")
          : make("button", { type: "button", class: "edits", onclick: (event) => undo(one.number, event.currentTarget) }, one.kind === "undo" ? "Redo" : "Undo"))))))));
}
