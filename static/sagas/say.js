// Short words to the person, seen and read out.
export function announce(text) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = text;
}

export function say(text) {
  announce(text);
  const toast = document.createElement("p");
  toast.className = "toast";
  toast.textContent = text;
  document.getElementById("toasts")?.replaceChildren(toast);
  setTimeout(() => toast.remove(), 2500);
}
