// How numbers, times and names are written, and the colours of cameras and people.

import { state } from "./api.js";
import { NUMBERS as T } from "./words.js";

const CLOCK = new Intl.DateTimeFormat(T.dates, { timeZone: "UTC", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat(T.dates, { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" });

export const clock = (seconds) => CLOCK.format(seconds * 1000);
export const day = (seconds) => DAY.format(seconds * 1000);
export const moment = (seconds) => `${day(seconds)}, ${clock(seconds)}`;

export function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} ${T.seconds}`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} ${T.minutes} ${Math.round(seconds % 60)} ${T.seconds}`;
  return `${Math.floor(seconds / 3600)} ${T.hours} ${Math.round((seconds % 3600) / 60)} ${T.minutes}`;
}

export function percent(share) {
  if (share >= 0.995 && share < 1) return "> 99 %";
  return share > 0 && share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

export const plural = (count, one, many) => `${count.toLocaleString(T.language)} ${count === 1 ? one : many}`;
export const titleOf = (identity, name) => name || `${T.person} ${identity}`;

// The palette is the server's, which also draws videos and reports: a camera's colour goes by its place in the config, a
// person's [background, ink] by the number, and both repeat when they run out.
export const colourOf = (place) => state.palette.cameras[place % state.palette.cameras.length];
export const coloursOfIdentity = (identity) => state.palette.identities[(identity - 1) % state.palette.identities.length];
