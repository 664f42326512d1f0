// Asks for the form anew when something is chosen on which other choices depend; a button does it without a script.

for (const form of document.querySelectorAll("form[data-qk-refresh]")) {
  const show = form.querySelector("[data-qk-show]");
  show.hidden = true;
  for (const input of form.querySelectorAll("[data-qk-refreshes]")) {
    input.addEventListener("change", () => form.requestSubmit(show));
  }
}
