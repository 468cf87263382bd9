// Sections below one another become tabs; the address keeps which one is open.
export function tabs() {
  for (const box of document.querySelectorAll("[data-tabs]")) {
    const links = [...box.querySelectorAll(".tabs__bar a")];
    const bar = box.querySelector(".tabs__bar");
    box.classList.add("tabs--on");
    bar.setAttribute("role", "tablist");
    links.forEach((link) => prepare(link, links));
    open(links, links.find((link) => link.hash === location.hash) || links[0]);
    addEventListener("hashchange", () => {
      const wanted = links.find((link) => link.hash === location.hash);
      if (wanted) open(links, wanted);
    });
  }
}

function prepare(link, links) {
  const panel = document.getElementById(link.hash.slice(1));
  link.id = `tab-${panel.id}`;
  link.setAttribute("role", "tab");
  link.setAttribute("aria-controls", panel.id);
  panel.setAttribute("role", "tabpanel");
  panel.setAttribute("aria-labelledby", link.id);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    open(links, link);
  });
  link.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = links[(links.indexOf(link) + by + links.length) % links.length];
    next.focus();
    next.click();
  });
}

function open(links, wanted) {
  for (const link of links) {
    const chosen = link === wanted;
    link.setAttribute("aria-selected", chosen);
    link.tabIndex = chosen ? 0 : -1;
    document.getElementById(link.hash.slice(1)).hidden = !chosen;
  }
}
