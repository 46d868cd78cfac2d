// Numbers, times and the texts about them, in one place.

const CLOCK = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" });

export const clock = (seconds) => CLOCK.format(seconds * 1000);
export const day = (seconds) => DAY.format(seconds * 1000);
export const moment = (seconds) => `${day(seconds)}, ${clock(seconds)}`;

export function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export function percent(share) {
  if (share >= 0.995 && share < 1) return "> 99 %";
  return share > 0 && share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

export const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
export const titleOf = (identity, name) => name || `Person ${identity}`;

// The colour of a camera, by its place in the config: of one strength, readable on light and dark.
const COLOURS = ["#5b8db8", "#e0985a", "#66a36b", "#a8648f", "#6fbfcf", "#c5b04f", "#d5757b", "#8b83cc", "#979da3"];
export const colourOf = (place) => COLOURS[place % COLOURS.length];
export const colourOfIdentity = (identity) => `hsl(${Math.round(identity * 137.508) % 360} 75% 68%)`;

export const PLAYER = {
  nothing: "Nothing to play", nothingWhy: "No footage of this run can be played. What the database holds is on the other pages.",
  cameras: "Cameras", position: "Position in time", speed: "Speed", play: "Play", pause: "Pause",
  previousVisit: "Previous visit", nextVisit: "Next visit", stepBack: "One frame back", stepAhead: "One frame ahead",
  visitsOf: "Visits of", peopleIn: "People in", mostCameras: "Nine cameras at most: take another one away first.",
  chooseCamera: "Choose a camera above.", noFootageThen: "No footage at this time.",
  cannotPlay: "This browser cannot play the footage: it may have been moved or changed.",
  noNext: "There is no later visit.", noPrevious: "There is no earlier visit.",
};

export const OVERVIEW = {
  noCameras: "No camera yet", noCamerasWhy: "This run has no camera.",
  status: { running: "Running", complete: "Complete", partial: "Partial", failed: "Failed" },
  running: "the run goes on", realTime: "real time", until: "until",
  people: "people in all", peopleNow: "in view now", peopleEnd: "in view at the end", tracklets: "tracklets",
  unsure: ["link is less than 75 % sure.", "links are less than 75 % sure.", "No link waits for a review."], review: "Review them",
  undecided: ["tracklet has no person yet.", "tracklets have no person yet.", "Every tracklet has a person."],
  chart: "People over the time", cameras: "Cameras", lastFrame: "Last frame of", noPicture: "No picture: the footage is not there any more.",
  noFrame: "No frame yet.", there: "in view", atEnd: "in view at the end", nobody: "Nobody was seen.", most: "most:", perBar: "per bar",
};

export const SEARCH = {
  title: "Search by photo", drop: "Drop a picture here, or choose one", dropHint: "Pasting works, too. JPEG, PNG or WebP, at most 16 MB. It is not stored.",
  whichPerson: "Which person", looking: "Looking for people in the picture…", person: "person", people: "people", onePerson: "One person is in the picture.",
  chooseOne: "are in the picture: choose one.", storedCrop: "Searching for this stored picture.", noPicture: "This is no picture: give a JPEG, PNG or WebP file.",
  cameras: "Cameras", from: "from", to: "to", chooseCamera: "Choose a camera.", searching: "Searching…", nobody: "Nobody was seen there and then. Choose more cameras or other times.",
  similarity: "similarity", play: "Play this visit", moreVisit: "more visit", moreVisits: "more visits", among: "Searched are", nobodyStored: "Nobody is stored in this run yet.",
};

export const FLOOR = {
  title: "Path on the floor", loading: "Loading…", none: "No floor is known for these cameras: give each a homography in the config.",
  legend: "One square is one metre; a dot is where a tracklet begins. In all",
};
export const PERSON = {
  clip: "Clip (MP4)", clipMaking: "Making the clip", report: "Report (HTML)", clipReady: "The clip is ready.", why: "Why?", evidence: "Evidence of the link",
  evidenceText: "The two most similar pictures, how much of the person the model sees where, and what the probability is made of.", evidenceAlt: "Two pictures with their evidence maps, and the parts of the probability",
  evidenceGone: "No evidence can be shown: the pictures or the appearance model may not be there any more.", close: "Close", making: "Computing…",
};
