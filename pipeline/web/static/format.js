// How numbers, times and names are written, and the colours of cameras and people.

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

// The colour of a camera, by its place in the config: of one strength, readable on light and dark.
const COLOURS = ["#5b8db8", "#e0985a", "#66a36b", "#a8648f", "#6fbfcf", "#c5b04f", "#d5757b", "#8b83cc", "#979da3"];
export const colourOf = (place) => COLOURS[place % COLOURS.length];
export const colourOfIdentity = (identity) => `hsl(${Math.round(identity * 137.508) % 360} 75% 68%)`;
