// What is typed for a verb outlives a session that has ended, and a form that is refused: when its page is there again
// in this tab, for the same person, so is the text. What has led to something is forgotten.
import { say } from "./say.js";

const PREFIX = "sagadesk-draft ";

export function drafts() {
  try {
    if (document.querySelector(".notice--success, [data-done]")) forget();
    const form = document.getElementById("verb");
    if (form) keep(form, PREFIX + [who(), location.pathname, form.elements.step?.value].join(" "));
  } catch {
    // storage is closed to us: then a text is where it is typed, and nowhere else
  }
}

function keep(form, key) {
  restore(form, JSON.parse(sessionStorage.getItem(key) ?? "{}"));
  const save = (sent) => sessionStorage.setItem(key, JSON.stringify({ ...typed(form), sent }));
  form.addEventListener("input", () => save(false));
  form.addEventListener("submit", () => save(true));
}

// Nothing that the server remembers is overwritten.
function restore(form, draft) {
  let any = false;
  for (const field of form.querySelectorAll("[data-keep]")) {
    if (field.value || !draft[field.name]) continue;
    field.value = draft[field.name];
    any = true;
  }
  if (any) say("What you had typed is here again.");
}

function typed(form) {
  return Object.fromEntries([...form.querySelectorAll("[data-keep]")].map((field) => [field.name, field.value]));
}

function forget() {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(PREFIX) && JSON.parse(sessionStorage.getItem(key)).sent) sessionStorage.removeItem(key);
  }
}

function who() {
  return document.querySelector(".menu__name")?.textContent;
}
