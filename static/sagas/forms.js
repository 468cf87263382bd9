// Forms: sent once, however often the button is pressed; times typed here are sent in UTC.
const AGAIN = 5000; // who has stopped waiting for an answer may ask again

export function onceForms() {
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (Date.now() - (form.dataset.sent ?? 0) < AGAIN) event.preventDefault();
      else form.dataset.sent = Date.now();
    });
  }
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-once]")) delete form.dataset.sent;
  });
}

export function utcInputs() {
  for (const input of document.querySelectorAll("input[data-utc]")) {
    if (input.defaultValue) input.value = local(new Date(`${input.defaultValue.slice(0, 19)}Z`));
  }
  for (const form of document.querySelectorAll("form:has(input[data-utc])")) {
    form.addEventListener("formdata", (event) => {
      for (const input of form.querySelectorAll("input[data-utc]")) {
        if (input.value) event.formData.set(input.name, new Date(input.value).toISOString().slice(0, 19));
      }
      for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
    });
  }
}

function local(at) {
  const shifted = new Date(at - at.getTimezoneOffset() * 60000);
  return Number.isNaN(+at) ? "" : shifted.toISOString().slice(0, 19);
}
