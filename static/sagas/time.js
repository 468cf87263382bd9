// Times: in the browser's zone, relative ones kept true, the exact one on hover and focus.
const UNITS = [[86400, 172800, "d", 3600, "h"], [3600, 7200, "h", 60, "min"], [60, 100, "min", 1, "s"]];
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const shortly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const timeOfDay = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

// How far the server's clock is ahead of this one, in milliseconds; live.js learns it.
export const ahead = { ms: 0 };

// The moment at which all stands still, in milliseconds of this machine, while nobody tells what is new.
let stood = null;

export function stand(at) {
  stood = at;
  tell(document);
}

export function tellTimes() {
  tell(document);
  setInterval(() => document.hidden || tell(document), 1000);
}

export function tell(root) {
  for (const time of root.querySelectorAll("time[datetime]")) tellOne(time);
  for (const node of root.querySelectorAll("[data-since]")) {
    set(node, span((now() - Date.parse(node.dataset.since)) / 1000));
  }
}

function tellOne(time) {
  const at = new Date(time.dateTime);
  if (!time.dataset.told) {
    time.dataset.told = "1";
    time.title = exactly.format(at);
    if (time.dataset.style === "clock") set(time, clock(at));
    if (time.dataset.style === "exact") set(time, shortly.format(at));
  }
  if (time.dataset.style === "relative") set(time, relative((now() - at) / 1000));
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function now() {
  return (stood ?? Date.now()) + ahead.ms;
}

// The time of day, with the day where that is not today.
export function clock(at) {
  return today(new Date(at)) ? timeOfDay.format(at) : shortly.format(at);
}

function today(at) {
  return at.toDateString() === new Date().toDateString();
}

function relative(seconds) {
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${span(Math.floor(seconds))} ago` : `in ${span(Math.ceil(-seconds))}`;
}

// The same words as templatetags/desk.py finds.
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [size, least, name, below, lesser] of UNITS) {
    if (whole < least) continue;
    const rest = Math.floor((whole % size) / below);
    return `${Math.floor(whole / size)} ${name}${rest && whole < 10 * size ? ` ${rest} ${lesser}` : ""}`;
  }
  return `${whole} s`;
}
