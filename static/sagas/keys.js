// The keyboard: / finds, j and k walk a table's rows, x selects one, g and a letter goes where the rail leads, ? tells.
let going = 0;
let off = false;

export function keys() {
  const help = document.getElementById("keys");
  if (!help) return;
  helpOn(help);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (!acting() || help.open) return;
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search")?.select();
    } else if (event.key === "?") {
      help.showModal();
    } else if (event.key === "j" || event.key === "k") {
      walk(event.key === "j" ? 1 : -1);
    } else if (event.key === "x") {
      document.activeElement.closest(".sagas--pick tr")?.querySelector(".saga__pick")?.click();
    } else if (event.key === "g") {
      going = Date.now();
    } else if (Date.now() - going < 1000) {
      document.querySelector(`.rail [data-key="${CSS.escape(event.key)}"]`)?.click();
    }
  });
}

// What the keys do can be read, and they can be switched off: who speaks to the browser says letters, too.
function helpOn(help) {
  const show = document.getElementById("keys-show");
  show.hidden = false;
  show.addEventListener("click", () => {
    const menu = show.closest(".menu");
    menu.open = false;
    menu.querySelector("summary").focus(); // where one comes back to
    help.showModal();
  });
  const on = document.getElementById("keys-on");
  on.checked = acting();
  on.addEventListener("change", () => {
    off = !on.checked;
    try {
      localStorage.setItem("sagadesk-keys", off ? "off" : "on");
    } catch {
      // then it holds for this page
    }
  });
}

function acting() {
  try {
    return !off && localStorage.getItem("sagadesk-keys") !== "off";
  } catch {
    return !off;
  }
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
