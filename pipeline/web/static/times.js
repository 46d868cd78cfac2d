// Two fields, from and to, in UTC: times of day if all of the footage is of one day, or else with the day.

import { make } from "./dom.js";
import { day } from "./format.js";
import { TIMES as T } from "./words.js";

// `first` and `last` are seconds of the footage, or null; `range` gets what is typed, null for nothing, before each `act`.
export function timeFields(first, last, range, act) {
  const known = first !== null && last !== null, oneDay = known && day(first) === day(last);
  const written = (seconds, end) => new Date(seconds * 1000).toISOString().slice(0, end);
  const field = (end) => make("label", { class: "field" }, T[end], " ", make("input", {
    type: oneDay ? "time" : "datetime-local", step: "1", "aria-label": `${T[end]}, UTC`,
    min: known && !oneDay ? written(first, 19) : null, max: known && !oneDay ? written(last + 1, 19) : null,
    onchange: (event) => {
      const value = event.target.value && (oneDay ? `${written(first, 10)}T${event.target.value}` : event.target.value);
      range[end] = value ? Date.parse(`${value.length === 16 ? `${value}:00` : value}Z`) / 1000 : null;
      act();
    },
  }));
  return [field("from"), field("to"), make("span", { class: "hint" }, "UTC")];
}
