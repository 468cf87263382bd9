// Before the first paint: the theme that was chosen here, if one was.
try {
  document.documentElement.dataset.theme = localStorage.getItem("sagadesk-theme") || "auto";
} catch {
  // storage is closed to us: the system's theme it is
}
