// The switch between the system's theme, light and dark.
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const NAMES = { auto: "follows the system", light: "light", dark: "dark" };

export function themeSwitch() {
  const button = document.getElementById("theme");
  if (!button) return;
  button.hidden = false;
  show(button);
  button.addEventListener("click", () => {
    const root = document.documentElement;
    root.dataset.theme = NEXT[root.dataset.theme] || "auto";
    try {
      localStorage.setItem("sagadesk-theme", root.dataset.theme);
    } catch {
      // then it holds for this page
    }
    show(button);
  });
}

function show(button) {
  const theme = document.documentElement.dataset.theme;
  button.querySelector("use").setAttribute("href", `#g-theme-${theme}`);
  button.title = `Theme: ${NAMES[theme]}`;
  button.setAttribute("aria-label", button.title);
}
