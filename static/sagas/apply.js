// Putting what is newer into the page, without moving anything that a person looks at or works with.
import { reveal } from "./copy.js";
import { follow, followed } from "./follow.js";
import { announce } from "./say.js";
import { holdOne } from "./stale.js";
import { tell } from "./time.js";

const waiting = new Map(); // region -> html that came while it was in use
const rows = new Map(); // saga id -> row that came while it was pressed
let pressed = null; // what a pointer is down on: a click needs the same element at its end

addEventListener("pointerdown", (event) => event.button === 0 && (pressed = event.target), true);
addEventListener("blur", () => (pressed = null));
// One for all: where nothing moves, no animation ends, and a listener that waits for it would stay with its region.
document.addEventListener("animationend", (event) => event.target.classList.remove("changed"));
// Only after the click that follows.
for (const over of ["pointerup", "pointercancel"]) addEventListener(over, () => setTimeout(() => (pressed = null)), true);

// What the page shows, as the server wants to hear it.
export function shown(place) {
  const sagas = {};
  for (const node of document.querySelectorAll("main [data-saga]")) sagas[node.dataset.saga] = +node.dataset.version;
  const said = { sagas };
  if ("overview" in place.dataset) said.overview = true;
  if ("approvals" in place.dataset) said.approvals = true;
  if ("list" in place.dataset) said.list = place.dataset.list;
  return said;
}

export function applyRow(saga) {
  for (const old of document.querySelectorAll(`tr[data-saga="${saga.id}"]`)) {
    if (+old.dataset.version >= saga.version) continue;
    if (old.contains(pressed)) {
      rows.set(saga.id, saga);
      continue;
    }
    const template = document.createElement("template");
    template.innerHTML = saga.row;
    const fresh = template.content.firstElementChild;
    const focused = old.contains(document.activeElement) && document.activeElement;
    const pick = fresh.querySelector(".saga__pick");
    pick.checked = old.querySelector(".saga__pick").checked;
    old.replaceWith(fresh);
    if (focused) (focused.matches(".saga__pick") ? pick : fresh.querySelector("a"))?.focus();
    fresh.classList.add("changed");
    settle(fresh);
  }
}

export function applySaga(place, saga) {
  if (saga.id !== place.dataset.saga || saga.version < +place.dataset.version) return;
  const moved = saga.version > +place.dataset.version;
  place.dataset.version = saga.version;
  applyRegions(place, saga.regions, moved);
  if (moved && saga.regions.why) announce(place.querySelector("[data-region=why] .why__text").textContent.trim());
  if (saga.title) document.title = saga.title;
}

// A verb's page keeps what is being typed, and only says that its preview is old, where that matters.
export function movedOn(saga) {
  const shown = document.querySelector(`main [data-saga="${saga.id}"]`);
  if (!shown || saga.version <= +shown.dataset.version) return;
  shown.querySelector("[data-moved-on]")?.removeAttribute("hidden");
  for (const claim of document.querySelectorAll("[data-as-now]")) claim.hidden = true; // it is no longer so
}

export function applyRegions(place, regions, moved = false) {
  for (const [name, html] of Object.entries(regions)) {
    const region = place.querySelector(`[data-region="${name}"]`);
    if (!region) continue;
    applyRegion(region, html);
    if (moved && (name === "head" || name === "why")) region.classList.add("changed");
  }
}

// What is under somebody's hand stays, and says that there is something newer.
export function applyRegion(region, html) {
  if (!inUse(region)) return replace(region, html);
  waiting.set(region, html);
  region.classList.add("behind");
}

// What is being pressed, text that is being selected, a menu that is open, rows that a pointer is on.
function inUse(region) {
  if (pressed && region.contains(pressed)) return true;
  const selection = getSelection();
  if (!selection.isCollapsed && region.contains(selection.anchorNode)) return true;
  return region.querySelector(".menu[open]") !== null || ("steady" in region.dataset && region.matches(":hover"));
}

function replace(region, html) {
  waiting.delete(region);
  region.classList.remove("behind");
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  const open = [...region.querySelectorAll("details[open][id]")].map((details) => details.id);
  const before = new Map([...region.querySelectorAll("tr[data-saga]")].map((row) => [row.dataset.saga, row.dataset.version]));
  const scrolled = boxes(region).map((box) => box.scrollLeft);
  const follows = followed(boxes(region)[0]);
  region.innerHTML = html;
  for (const id of open) region.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  boxes(region).forEach((box, at) => scrolled[at] && (box.scrollLeft = scrolled[at]));
  if (follows) follow(region.querySelector(".graph"));
  if (focused) refocus(region, focused);
  for (const row of region.querySelectorAll("tr[data-saga]")) {
    if (before.size && before.get(row.dataset.saga) !== row.dataset.version) row.classList.add("changed");
  }
  settle(region);
}

function boxes(region) {
  return [...region.querySelectorAll(".graph, .table-box")];
}

function refocus(region, was) {
  const href = was.getAttribute("href");
  const same = was.id ? region.querySelector(`#${CSS.escape(was.id)}`) : href && region.querySelector(`a[href="${CSS.escape(href)}"]`);
  (same || region.querySelector("a, button, [tabindex]"))?.focus({ preventScroll: true });
}

function settle(root) {
  tell(root.parentNode || root);
  reveal(root);
  for (const action of root.querySelectorAll("[data-act]")) holdOne(action);
}

export function showNew(count) {
  const strip = document.getElementById("new-strip");
  if (!strip) return;
  if (count && strip.hidden) announce(`${count} new`);
  strip.hidden = !count;
  strip.querySelector("[data-count]").textContent = count >= 50 ? "50+" : count;
}

setInterval(() => {
  for (const [region, html] of waiting) if (!inUse(region)) replace(region, html);
  if (!pressed) for (const [id, saga] of rows) if (rows.delete(id)) applyRow(saga);
}, 300);
