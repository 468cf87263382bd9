// The keyboard: / finds, j and k walk a table's rows, g and a letter goes somewhere.
const PLACES = { o: "/", s: "/sagas/", q: "/queues/", a: "/audit/", t: "/types/" };
let going = 0;

export function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search")?.select();
    } else if (event.key === "j" || event.key === "k") {
      walk(event.key === "j" ? 1 : -1);
    } else if (event.key === "g") {
      going = Date.now();
    } else if (Date.now() - going < 1000 && PLACES[event.key]) {
      location.assign(PLACES[event.key]);
    }
  });
}

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

function walk(by) {
  const links = [...document.querySelectorAll(".saga__name a")];
  if (!links.length) return;
  const here = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = here < 0 ? (by > 0 ? 0 : links.length - 1) : here + by;
  links[Math.max(0, Math.min(links.length - 1, next))].focus();
}
