// The badge: how near to the truth the page is.
const LOOKS = {
  live: ["dot-live", "live", "What you see is the truth, at most a moment old."],
  catching: ["dot-catching", "catching up", "Getting what changed meanwhile."],
  stale: ["dot-stale", "stale", "There is no connection. Reload to see the truth; the page also keeps trying."],
};
let state = "";

export function badge(look, word = LOOKS[look][1]) {
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
}
