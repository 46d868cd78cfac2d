// Who decided what, when, and why; every decision in force can be undone.

import { correct, get } from "./api.js";
import { empty, make, toast } from "./dom.js";
import { HISTORY as T } from "./words.js";

export async function showHistory(place) {
  const found = await get("/api/history");
  if (found.length === 0) {
    place.append(empty(T.none, T.noneWhy));
    return;
  }
  const again = () => window.dispatchEvent(new Event("hashchange"));
  const undo = async (number, button) => {
    button.disabled = true;
    try { await correct("/api/undo", { correction: number }, again); } catch (error) { toast(error.message, { bad: true }); button.disabled = false; }
  };
  place.append(make("div", { class: "page" }, make("h1", {}, T.title), make("p", { class: "faint" }, T.order),
    make("table", {}, make("thead", {}, make("tr", {}, T.columns.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, found.map((one) => make("tr", { class: one.undone_by ? "undone" : null },
        make("td", { class: "number" }, one.created.slice(0, 19).split("T").flatMap((part) => [make("span", { class: "whole" }, part), " "])), make("td", {}, one.what), make("td", {}, one.who), make("td", {}, one.why),
        make("td", {}, one.undone_by ? make("span", { class: "hint" }, T.undone) : one.kind === "forget" ? make("span", { class: "hint" }, T.forGood)
          : make("button", { type: "button", class: "edits", onclick: (event) => undo(one.number, event.currentTarget) }, one.kind === "undo" ? T.redo : T.undo))))))));
}
