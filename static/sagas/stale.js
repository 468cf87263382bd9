// A page that has lost its connection: it says so on top, its times stand still, and its buttons wait.
// One that never had any keeps all of that: it works by reloading, and every verb checks the version.
import { badge } from "./badge.js";
import { announce } from "./say.js";
import { clock, stand } from "./time.js";

const REASON = "This page is stale: what it shows may no longer be true. Reload, or wait until it is live.";
export const LOST = "No connection since {since}: what stands here is of then, and its buttons wait. The page keeps trying.";
let told = "";

// How it is shown in a word, and what to say of it; since when, in milliseconds of this machine; whether buttons wait.
export function stale(word, said, since, hold) {
  badge("stale", word);
  if (told === said) return;
  told = said;
  stand(since);
  show(said.replace("{since}", clock(since)));
  holdActions(hold);
}

export function fresh() {
  badge("live");
  if (!told) return;
  told = "";
  stand(null);
  show("");
  holdActions(false);
}

function show(text) {
  const strip = document.getElementById("stale");
  strip.hidden = !text;
  strip.querySelector("p").textContent = text;
  if (text) announce(text);
}

function holdActions(hold) {
  document.body.classList.toggle("held", hold);
  for (const action of document.querySelectorAll("[data-act]")) holdOne(action);
}

// What comes into a page that is held is held as well.
export function holdOne(action) {
  const held = "title" in action.dataset;
  if (document.body.classList.contains("held") === held) return;
  if (held) {
    action.removeAttribute("aria-disabled");
    action.title = action.dataset.title;
    if (!action.title) action.removeAttribute("title");
    delete action.dataset.title;
  } else {
    action.setAttribute("aria-disabled", "true");
    action.dataset.title = action.title;
    action.title = REASON;
  }
}

document.addEventListener(
  "click",
  (event) => {
    if (!document.body.classList.contains("held") || !event.target.closest("[data-act]")) return;
    event.preventDefault();
    event.stopPropagation();
    announce(REASON);
  },
  true,
);
