// Choose the page by the address, and keep the bar at the top.

import { start, state } from "./api.js";
import { empty, make } from "./dom.js";
import { showHistory } from "./history.js";
import { showIdentity } from "./identity.js";
import { showOverview } from "./overview.js";
import { showPlayer } from "./player.js";
import { showReview } from "./review.js";
import { showSearch } from "./search.js";
import { showTimeline } from "./timeline.js";
import { APP as T, BAR } from "./words.js";

const main = document.getElementById("main");
const run = document.getElementById("run");
const who = document.getElementById("who");
let leave = () => {};
let shown = 0, lastAddress = null;

async function show() {
  leave();
  leave = () => {};
  const own = ++shown, same = location.hash === lastAddress, top = main.scrollTop;
  lastAddress = location.hash;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  const [page, number, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.page === (page === "" ? "overview" : page === "identity" ? "timeline" : page);
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  if (state.run === null) {
    main.replaceChildren(empty(T.noResults, T.noRun, T.startOne));
    return;
  }
  const place = make("div", { class: "place", style: { height: "100%" } });
  try {
    const pages = { "": showOverview, timeline: showTimeline, review: showReview, history: showHistory, identity: showIdentity, player: showPlayer, search: showSearch };
    if (!(page in pages)) throw new Error(T.noPage);
    const end = await pages[page](place, Number(number), rest);
    if (own !== shown) { end?.(); return; }
    leave = end || leave;
    main.replaceChildren(place);
    place.dispatchEvent(new Event("shown"));
  } catch (error) {
    if (own === shown) main.replaceChildren(empty(T.cannotShow, error.message));
  }
  main.scrollTop = same ? top : 0; // a correction shows the page anew
  document.title = T.title(main.querySelector("h1")?.textContent ?? BAR[page || "overview"]);
}

function fillBar() {
  run.replaceChildren(...state.runs.map((one) => make("option", { value: one.run, selected: one.run === state.run },
    `${one.run}, ${one.started.slice(0, 16).replace("T", " ")}${one.status === "complete" ? "" : `, ${one.status}`}`)));
  who.value = state.who;
  document.body.classList.toggle("viewer", state.role === "view");
  for (const element of [run, who]) element.parentElement.hidden = !state.runs.length;
}

run.addEventListener("change", () => { state.run = Number(run.value); location.hash = "#/"; show(); });
who.addEventListener("change", () => { state.who = who.value.trim(); localStorage.setItem("who", state.who); });
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  window.dispatchEvent(new Event("themechange"));
});
if (localStorage.getItem("theme")) document.documentElement.dataset.theme = localStorage.getItem("theme");
for (const element of document.querySelectorAll("[data-text]")) element.textContent = BAR[element.dataset.text];
for (const element of document.querySelectorAll("[data-name]")) { element.setAttribute("aria-label", BAR[element.dataset.name]); element.title = element.tagName === "BUTTON" ? BAR[element.dataset.name] : ""; }
window.addEventListener("hashchange", show);
try {
  await start();
  fillBar();
  await show();
} catch (error) {
  main.replaceChildren(empty(T.cannotShow, error.message));
}
