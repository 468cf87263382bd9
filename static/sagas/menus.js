// Menus close when one looks elsewhere.
export function menus() {
  document.addEventListener("click", (event) => close(event.target.closest(".menu")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.activeElement?.closest(".menu[open]");
    close(null);
    open?.querySelector("summary").focus();
  });
}

function close(except) {
  for (const menu of document.querySelectorAll(".menu[open]")) if (menu !== except) menu.open = false;
}
