// Selecting rows of a list: all of a page at once, and how many they are. One by one, it works without.
export function selecting() {
  const bar = document.getElementById("selected");
  const all = document.getElementById("pick-all");
  if (!bar || !all) return;
  const every = bar.querySelector("[data-all]"); // where a table has no head, as on a phone
  const count = bar.querySelector("[data-count]");
  const rows = () => [...document.querySelectorAll(".sagas .saga__pick")];
  const tell = () => {
    const picked = rows().filter((row) => row.checked).length;
    count.textContent = picked;
    all.checked = picked > 0 && picked === rows().length;
    all.indeterminate = picked > 0 && !all.checked;
  };
  const pick = (picked) => {
    for (const row of rows()) row.checked = picked;
    tell();
  };
  all.hidden = count.hidden = every.hidden = false;
  all.addEventListener("change", () => pick(all.checked));
  every.addEventListener("click", () => pick(true));
  document.addEventListener("change", (event) => event.target.matches(".saga__pick") && tell());
  bar.addEventListener("reset", () => setTimeout(tell)); // only after that are they cleared
  addEventListener("pageshow", tell); // a browser may remember what was ticked
}
