// The live page: says what it shows, applies what is newer, and knows when it is behind.
import { applyRegion, applyRegions, applyRow, applySaga, movedOn, shown, showNew } from "./apply.js";
import { badge } from "./badge.js";
import { fresh, LOST, stale } from "./stale.js";
import { ahead } from "./time.js";

const SILENCE = 8000; // without a word for so long, the page is stale
const AGAIN = 15000;
const FINAL = { 4401: "signed out", 4403: "not allowed", 4413: "too large" };
const SAID = {
  4401: "You are signed out. Load the page again to log in. What stands here is of {since}.",
  4403: "You may not watch this any more. What stands here is of {since}.",
  4413: "This page is too large to be followed. Load it again to see what is new since {since}.",
};

let socket = null;
let heard = 0;
let told = 0; // when it was last told something, where heard also counts a connection that was opened
let failures = 0;
let everLive = false;
let place = null;

export function live() {
  place = document.querySelector("[data-live]");
  if (!place) return;
  badge("catching");
  heard = told = Date.now();
  connect();
  setInterval(watch, 500);
  document.addEventListener("visibilitychange", () => document.hidden || watch());
  addEventListener("pagehide", () => socket?.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
}

function connect() {
  const url = new URL(document.body.dataset.socket + place.dataset.live, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const ours = (socket = new WebSocket(url));
  ours.onopen = () => {
    if (failures < 3) heard = Date.now(); // it has as long as any other to say something, but not again and again
    ours.send(JSON.stringify({ type: "show", ...shown(place) }));
  };
  ours.onmessage = (event) => ours === socket && receive(JSON.parse(event.data));
  ours.onclose = (event) => ours === socket && lost(event.code);
}

function receive(frame) {
  delete place.dataset.ended;
  heard = told = Date.now();
  failures = 0;
  if (frame.now) ahead.ms = frame.now - Date.now();
  for (const saga of frame.sagas || []) {
    if (saga.row) "verbPage" in place.dataset ? movedOn(saga) : applyRow(saga);
    if (saga.regions) applySaga(place, saga);
  }
  if (frame.overview) applyRegions(place, frame.overview);
  if (frame.approvals) applyRegions(document, frame.approvals);
  if (frame.new !== undefined) showNew(frame.new);
  if (frame.banner !== undefined) applyRegion(document.getElementById("banner"), frame.banner);
  socket.send(JSON.stringify({ type: "got", n: frame.n }));
  everLive = true;
  fresh();
}

function lost(code) {
  socket = null;
  if (FINAL[code]) {
    place.dataset.ended = "1";
    stale(FINAL[code], SAID[code], told, code !== 4413); // each verb checks the version: it need not wait for what never comes
    if (code === 4401) setTimeout(connect, AGAIN); // one may log in again beside it, and keep what is typed here
    return;
  }
  failures += 1;
  if (Date.now() - heard < SILENCE) badge("catching");
  const wait = Math.min(5000, 250 * 2 ** Math.min(failures, 5)) * (0.5 + Math.random() / 2);
  setTimeout(() => socket || connect(), wait);
}

function watch() {
  if (place.dataset.ended || Date.now() - heard < SILENCE) return;
  if (everLive) stale("stale", LOST, told, true);
  else badge("stale", "not live");
  if (socket?.readyState === WebSocket.OPEN) socket.close(); // deaf: begin anew
}
