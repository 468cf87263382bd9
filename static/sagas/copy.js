// Buttons that copy an id whole.
import { say } from "./say.js";

export function copyButtons() {
  reveal(document);
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      say("Copied.");
    } catch {
      say("This browser does not let us copy here.");
    }
  });
}

export function reveal(root) {
  if (!navigator.clipboard) return; // only on https and localhost
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}
