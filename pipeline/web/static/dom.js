// Make elements. Texts become text nodes, so that no name can be markup.

import { DIALOG as T } from "./words.js";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function toast(text, { undo, bad } = {}) {
  const line = make("div", { class: bad ? "toast bad" : "toast" }, make("span", {}, text));
  if (undo) line.append(make("button", { type: "button", onclick: () => { line.remove(); undo(); } }, T.undo));
  else line.append(make("button", { type: "button", onclick: () => line.remove(), "aria-label": T.close }, "✕"));
  const place = document.getElementById("toasts");
  place.replaceChildren(line);
  setTimeout(() => line.remove(), bad ? 12000 : 8000);
}

export function empty(title, ...lines) {
  return make("div", { class: "empty" }, make("h1", {}, title), lines.map((line) => make("p", {}, line)));
}

export const dot = (colour) => make("i", { class: "dot", style: { background: colour }, "aria-hidden": "true" });

// A dialog with a form. `fields` are elements; `act` is called with the form and may reject with what went wrong.
export function ask({ title, text, fields = [], button, danger = false, act }) {
  const wrong = make("p", { class: "wrong", role: "alert" });
  const send = make("button", { class: danger ? "danger" : "primary" }, button);
  const form = make("form", { method: "dialog" }, fields, wrong, make("div", { class: "row end" },
    make("button", { type: "button", onclick: () => dialog.close() }, T.cancel), send));
  const dialog = make("dialog", { "aria-label": title }, make("h2", {}, title), text ? make("p", { class: "faint" }, text) : null, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    wrong.textContent = "";
    try {
      await act(new FormData(form));
      dialog.close();
    } catch (error) {
      wrong.textContent = error.message;
      send.disabled = false;
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
