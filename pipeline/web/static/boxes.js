// Draw people's boxes over a picture, with labels that can be read: as the annotated videos have them (paint.py).

import { state } from "./api.js";
import { coloursOfIdentity } from "./format.js";

const HIGH = 17, PAD = 4; // pixels, of a label
const NAME_PARTS = 4, LEAST_TEXT = 40; // a label's text is at most this part of the picture's width, or so many pixels
const MOST_COVERED = 0.35; // of a label by earlier ones: with more it is left out, the list below the picture has it

// Boxes are [identity, tracklet, x1, y1, x2, y2] in pixels of the footage, of which one is `scale` pixels of the canvas.
export function paintBoxes(pen, boxes, { scale, width, height, nameOf, chosen }) {
  const ours = (one) => !chosen || one[0] === chosen;
  for (const [identity, , x1, y1, x2, y2] of [...boxes].sort((a, b) => a[5] - b[5])) { // nearer people over those behind
    const dim = chosen && identity !== chosen;
    pen.globalAlpha = dim ? 0.45 : 1;
    pen.lineWidth = dim ? 1 : 2;
    pen.strokeStyle = identity === null ? state.palette.nobody : coloursOfIdentity(identity)[0];
    pen.strokeRect(x1 * scale, y1 * scale, (x2 - x1) * scale, (y2 - y1) * scale);
  }
  const taken = [];
  // In the order of identities, so that labels do not jump whenever two people pass each other.
  for (const [identity, , ...box] of boxes.filter((one) => one[0] !== null).sort((a, b) => ours(b) - ours(a) || a[0] - b[0])) {
    const text = shortened(pen, nameOf(identity), Math.max(LEAST_TEXT, width / NAME_PARTS)), wide = Math.ceil(pen.measureText(text).width) + 2 * PAD;
    const place = placeLabel(box.map((edge) => edge * scale), [wide, HIGH], [width, height], taken);
    if (place === null) continue;
    taken.push(place);
    const [background, ink] = coloursOfIdentity(identity);
    pen.globalAlpha = chosen && identity !== chosen ? 0.45 : 1;
    pen.fillStyle = background;
    pen.fillRect(place[0], place[1], wide, HIGH);
    pen.fillStyle = ink;
    pen.fillText(text, place[0] + PAD, place[1] + HIGH / 2 + 0.5);
  }
  pen.globalAlpha = 1;
}

function shortened(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 1 && pen.measureText(`${text.slice(0, end)}…`).width > room) end--;
  return `${text.slice(0, end)}…`;
}

// Where a label covers the least of others: above its box, or else inside or below it; null where it would cover too much.
export function placeLabel([left, top, right, bottom], [wide, high], [width, height], taken) {
  const places = [[left - 1, top - high], [right - wide, top - high], [left, top], [right - wide, top],
    [left, bottom - high], [right - wide, bottom - high], [left, bottom], [left, top - 2 * high]];
  let best = null, least = MOST_COVERED * wide * high;
  for (const [x, y] of places) {
    const x1 = Math.max(0, Math.min(x, width - wide)), y1 = Math.max(0, Math.min(y, height - high));
    const place = [x1, y1, x1 + wide, y1 + high];
    const covered = taken.reduce((sum, other) => sum + shared(place, other), 0);
    if (covered < least || (covered === 0 && best === null)) { best = place; least = covered; }
    if (covered === 0) break;
  }
  return best;
}

function shared(one, other) {
  const wide = Math.min(one[2], other[2]) - Math.max(one[0], other[0]), high = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  return Math.max(wide, 0) * Math.max(high, 0);
}
