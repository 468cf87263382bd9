// The badge, and the buttons that wait while it says stale.
import { announce } from "./say.js";

const LOOKS = {
  live: ["dot-live", "live", "What you see is the truth, at most a moment old."],
  catching: ["dot-catching", "catching up", "Getting what changed meanwhile."],
  stale: ["dot-stale", "stale", "The connection is lost. Reload to see the truth; the page also keeps trying."],
};
const REASON = "This page is stale: what it shows may no longer be true. Reload, or wait until it is live.";
let state = "";

export function badge(look, word = LOOKS[look][1], hold = false) {
  const key = look + word;
  if (key === state) return;
  state = key;
  const place = document.getElementById("badge");
  if (!place) return;
  place.hidden = false;
  place.className = `badge badge--${look}`;
  place.title = LOOKS[look][2];
  place.querySelector("use").setAttribute("href", `#g-${LOOKS[look][0]}`);
  place.querySelector("span").textContent = word;
  document.body.dataset.feed = look;
  if (look === "stale") announce(LOOKS.stale[2]);
  if (look === "stale" ? hold : look === "live") holdActions(look === "stale");
}

// A page that never was live keeps its buttons: it works by reloading, and every verb checks the version.
function holdActions(hold) {
  document.body.classList.toggle("held", hold);
  for (const action of document.querySelectorAll("[data-act]")) holdOne(action, hold);
}

export function holdOne(action, hold = document.body.classList.contains("held")) {
  if (hold) {
    action.setAttribute("aria-disabled", "true");
    action.title = REASON;
  } else if (action.title === REASON) {
    action.removeAttribute("aria-disabled");
    action.removeAttribute("title");
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
