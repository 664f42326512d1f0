/* Comfort in the form of an entry. Everything works without it. */

/* Press Ctrl+S or Cmd+S to save. */
const form = document.querySelector("[data-qk-form]");
document.addEventListener("keydown", (event) => {
  if (form && (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
    const save = form.querySelector(".submit-row [name=_save]");
    if (save) {
      event.preventDefault();
      form.requestSubmit(save);
    }
  }
});

/* A second click on a button that is on its way does nothing. */
form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  window.addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
});
