// The page's only way to the server, and what all pages share: the run, who decides, and the token of writing requests.

import { toast } from "./dom.js";
import { SERVER as T } from "./words.js";

export const state = { run: null, runs: [], csrf: "", who: "", role: "view", palette: null };

async function answer(response) {
  if (response.status === 401) { location.assign("/login"); throw new Error(T.logIn); }
  const value = await response.json().catch(() => ({ error: T.noAnswer }));
  if (!response.ok) throw new Error(value.error || `${T.answered} ${response.status}`);
  return value;
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Error(T.gone);
  }
}

export async function start() {
  const session = await answer(await reach("/api/session"));
  state.csrf = session.csrf;
  state.runs = session.runs;
  state.role = session.role;
  state.palette = session.palette;
  state.who = localStorage.getItem("who") || session.who;
  if (!state.runs.some((one) => one.run === state.run)) state.run = state.runs.length ? state.runs[0].run : null;
}

export function addressOf(path, query = {}) {
  const search = new URLSearchParams({ run: state.run });
  for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) search.append(name, one);
  return `${path}?${search}`;
}

export async function get(path, query = {}) {
  return answer(await reach(addressOf(path, query)));
}

export async function post(path, body = {}) {
  return answer(await reach(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": state.csrf },
    body: JSON.stringify({ run: state.run, who: state.who, ...body }),
  }));
}

export async function upload(path, blob) {
  return answer(await reach(path, { method: "POST", headers: { "content-type": blob.type, "x-csrf-token": state.csrf }, body: blob }));
}

// Tell `changed` the state of the run after every change; returns what ends that.
export function watch(changed) {
  const events = new EventSource(addressOf("/api/events"));
  events.onmessage = (event) => {
    const live = JSON.parse(event.data), own = state.runs.find((one) => one.run === live.run);
    if (live.error || live.run !== state.run) return;
    if (own) own.status = live.status;
    changed(live);
  };
  return () => events.close();
}

// Write a correction, say what it did, and offer to undo it; `after` shows the new state.
export async function correct(path, body, after) {
  const done = await post(path, body);
  const undo = done.kind === "forget" || done.kind === "undo" ? undefined : async () => {
    try {
      const undone = await post("/api/undo", { correction: done.number });
      toast(`${T.done} ${undone.what}`);
      after(undone);
    } catch (error) { toast(error.message, { bad: true }); }
  };
  toast(`${T.done} ${done.what}`, { undo });
  after(done);
  return done;
}

export const cropAddress = (crop) => `/media/crops/${crop.tracklet}/${crop.frame}?run=${state.run}`;
export const portraitAddress = (identity) => `/media/portraits/${identity}?run=${state.run}`;
