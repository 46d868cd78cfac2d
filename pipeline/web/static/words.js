// All texts of the page, so that it can be translated here; the log-in page has its own, which needs no script.

export const NUMBERS = { language: "en", dates: "en-GB", seconds: "s", minutes: "min", hours: "h", person: "Person" };

// The bar at the top, by the `data-text` and `data-name` of index.html.
export const BAR = {
  skip: "Skip to content", pages: "Pages", overview: "Overview", timeline: "Timeline", player: "Player", search: "Search", review: "Review",
  history: "History", run: "Run", who: "Decided by", theme: "Light or dark", loading: "Loading…",
};

export const APP = {
  title: (page) => `${page} – reidpipe`,
  noResults: "No results yet", noRun: "This database holds no run.", startOne: "Start one with reidpipe run, then load this page again.",
  noPage: "There is no such page.", cannotShow: "This cannot be shown",
};

export const SERVER = {
  logIn: "log in again", noAnswer: "the server gave no answer that can be read", answered: "the server answered",
  gone: "the server cannot be reached: is reidpipe serve still running?", done: "Done:",
};

export const DIALOG = { undo: "Undo", close: "Close", cancel: "Cancel" };

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
  unsure: ["link is less than 75 % sure.", "links are less than 75 % sure.", "Every link is at least 75 % sure."], review: "Review them",
  undecided: ["tracklet has no person yet.", "tracklets have no person yet.", "Every tracklet has a person."],
  chart: "People over time", nobodyYet: "Nobody was seen yet.", cameras: "Cameras", lastFrame: "Last frame of", noPicture: "No picture: the footage is not there any more.",
  noFrame: "No frame yet.", personAt: ["person", "people"], at: "at", nobody: "Nobody was seen.", most: "most:", perBar: "per bar",
};

export const TIMES = { from: "from", to: "to" };

export const SEARCH = {
  title: "Search by photo", drop: "Drop a picture here, or choose one", dropHint: "Pasting works, too. JPEG, PNG or WebP, at most 16 MB. It is not stored.",
  whichPerson: "Which person", looking: "Looking for people in the picture…", person: "person", people: "people", onePerson: "One person is in the picture.",
  chooseOne: "are in the picture: choose one.", storedCrop: "Searching for this stored picture.", noPicture: "This is no picture: give a JPEG, PNG or WebP file.",
  cameras: "Cameras", chooseCamera: "Choose a camera.", searching: "Searching…", nobody: "Nobody was seen there and then. Choose more cameras or other times.",
  similarity: "similarity", play: "Play this visit", moreVisit: "more visit", moreVisits: "more visits", among: "Searched are", nobodyStored: "Nobody is stored in this run yet.",
};

export const FLOOR = {
  title: "Path on the floor", loading: "Loading…", none: "No floor is known for these cameras: give each a homography in the config.",
  legend: "One square is one metre; a dot is where a tracklet begins. In all", planLegend: "A dot is where a tracklet begins. In all",
  outside: "Part of the path lies beside the plan: its place or a homography may be wrong.",
};

export const TIMELINE = {
  nobody: "Nobody was seen", nobodyYet: "Nobody was seen yet", noIdentity: "No identity is stored for this run.", wait: "The run goes on: people appear here some seconds after they were seen.",
  person: "Person", zoomOut: "Zoom out", zoomIn: "Zoom in", all: "All", showAll: "Show all",
  chart: "Visits over time. Arrow keys move, plus and minus zoom, 0 shows all, Enter opens the person of the chosen row.",
  sheet: "These visits as a CSV file", cameras: "Cameras", stay: "stay", stayName: "Shortest longest stay in seconds",
  leastCameras: "cameras", leastCamerasName: "Least number of cameras", sortBy: "sort by",
  sorts: { first: "first seen", number: "number", long: "longest stay", cameras: "most cameras" },
  people: ["person", "people"], visits: ["visit", "visits"],
  nobodyThen: "Nobody in these cameras at this time. Choose more cameras, or clear the times.", leastSure: "least sure link", byPerson: "by a person's decision",
};

export const REVIEW = {
  noProbabilities: "The links have no probabilities", earlier: "They were stored by an earlier version.", linkAgain: "Link the run again with reidpipe link, then load this page again.",
  nothing: "Nothing to review", nothingWhy: "Every link of this run is decided by a person, or there is none.",
  all: "All reviewed", skipped: ["link was skipped.", "links were skipped."], none: "No undecided link is left.", again: "Look again",
  title: "The same person?", waiting: ["link", "links"], order: "without a decision, the least sure first.", bothAre: "Both are now",
  at: "at", similarity: "similarity", after: "after last seen", atOnce: "at the same time as another camera", picture: "picture of", visit: "visit", same: "Same", different: "Different", skip: "Skip",
  hint: "“Different” makes the visit on the right somebody else. Every answer can be undone.",
};

export const HISTORY = {
  none: "No corrections yet", noneWhy: "Names, merges, splits and answers of the review are listed here, with who decided them.",
  title: "History", order: "Corrections of this run, the newest first.", columns: ["When, UTC", "What", "Who", "Why", ""],
  undone: "undone", forGood: "for good", redo: "Redo", undo: "Undo",
};

export const PERSON = {
  clip: "Clip (MP4)", clipMaking: "Making the clip", report: "Report (HTML)", clipReady: "The clip is ready.", why: "Why?", evidence: "Evidence of the link",
  evidenceText: "This visit, on the right, and the earlier one that it resembles most: their two most similar pictures, where the model sees the person in them, and what the probability is made of.",
  map: "Where the model sees the person", hidden: "hidden", seen: "seen", ofPictures: "Similarity of these two pictures", ofTracklets: "Similarity of the two tracklets, all pictures together",
  between: "Time between the two", atOnceFor: "Both are seen at once for", possible: "Time and place allow one person", yes: "yes", no: "no",
  odds: "Log-odds", parts: { similarity: "similarity", motion: "places on the floor, and time", bias: "how rarely two tracklets are one person" },
  chanceOfTwo: "Probability that the two are one person", chanceOfLink: "Probability of the link, as the run states it",
  whyOther: "The run also compares with the person’s other visits, and with people who are seen at the same time.", close: "Close", making: "Computing…",
  bestOf: "Best picture of", number: "Number", firstSeen: "First seen", lastSeen: "Last seen", cameras: "Cameras", tracklets: "Tracklets",
  toTimeline: "Timeline", pictures: "Best pictures by camera", visits: "Visits, and why they are one person", noPicture: "No picture is stored any more.",
  searchThis: "search for this picture", searchName: (camera, time) => `Search for the picture from ${camera} at ${time}`,
  unknown: "probability unknown", byPerson: "by a person", byModel: "by the model", firstTime: "The first time seen.", began: "The model began the person with this visit.",
  after: "after last seen", atOnce: "at the same time as another camera", similarity: "similarity", visible: "visible in both", track: "track", boxes: ["box", "boxes"],
  choose: (camera, track) => `Choose ${camera}, track ${track}`, play: "play", playName: (camera, time) => `Play ${camera} from ${time}`,
  ofVisit: "Most similar picture of this visit", ofOthers: "Most similar picture of the earlier visit", best: "Best picture",
};

export const CORRECT = {
  reason: "Reason (optional)", name: "Name", rename: "Rename", nameText: "Exports and videos show the name. Empty takes it away.", saveName: "Save name",
  splitOff: "Split off chosen", splitOffTitle: "Split off the chosen tracklets", leave: ["tracklet leaves", "tracklets leave"], becomeOther: "and become another person.", split: "Split",
  splitHere: "Split here", fromHere: "From this visit on, it is somebody else", splitText: (time) => `All tracklets that begin at ${time} or later become another person.`,
  mergeWith: "Merge with…", apartFrom: "Not the same as…", typeNumber: "Type the number of a person.", typeOther: "Type the number of another person.", and: "and", firstSeen: "first seen",
  mergeTitle: "Merge with another person", apartTitle: "Not the same as another person", mergeText: "Both become one person, who keeps the lower number.",
  apartText: "The two stay apart, whatever a later linking finds.", otherNumber: "Number of the other person", anyway: "even if one camera sees both at the same time", merge: "Merge", apart: "Keep apart",
  forget: "Forget…", forgetTitle: (title) => `Forget ${title}?`, tracklets: ["tracklet", "tracklets"], boxes: ["box", "boxes"],
  forgetText: (tracklets, boxes) => `This deletes all that is stored about this person: ${tracklets}, ${boxes}, pictures and name. There is no undo. Footage and exported files stay as they are.`,
  goOn: "Go on…", forGood: "Forget for good", forGoodTitle: "Forget for good?", forGoodText: (number, title) => `Type the number ${number} to delete ${title}.`, number: "Number",
};
