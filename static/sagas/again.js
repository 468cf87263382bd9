// A page to which nobody pushes anything asks for itself again, every so many seconds.
import { applyRegion } from "./apply.js";
import { badge } from "./badge.js";
import { fresh, LOST, stale } from "./stale.js";

let heard = 0;

export function again() {
  const place = document.querySelector("[data-again]");
  if (!place) return;
  badge("live");
  heard = Date.now();
  setInterval(() => document.hidden || renew(place), place.dataset.again * 1000);
}

const PATIENCE = 4000; // less than it is from one to the next: an answer never comes after a later one

async function renew(place) {
  try {
    const answer = await fetch(location.href, { redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    applyRegion(place, page.querySelector("[data-again]").innerHTML);
    applyRegion(document.getElementById("banner"), page.getElementById("banner").innerHTML);
    heard = Date.now();
    fresh();
  } catch {
    stale("stale", LOST, heard, true);
  }
}
