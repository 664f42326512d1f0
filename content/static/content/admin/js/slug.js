/* A slug follows the title until somebody touches it; tells of a clash at once, and before a public one changes. */

import { button, changed, h } from "./dom.js";
import { enhance } from "./enhance.js";
import { asking } from "./questions.js";

enhance("input[data-slug]", (input) => {
  const key = input.dataset.slug;
  if (input.name !== `f-${key}`) return; // inside of parts there is nothing to clash with
  const source = input.dataset.from ? input.form?.elements.namedItem(`f-${input.dataset.from}`) : null;
  const question = asking("slug", { wait: 300 });
  const note = h("div", { class: "qk-slug-note", role: "status" });
  let isFollowing = !input.value;
  let isOurs = false;
  let isSaving = false;

  const put = (text) => {
    isOurs = true;
    input.value = text;
    changed(input);
    isOurs = false;
  };
  const say = (...lines) => note.replaceChildren(...lines.filter(Boolean));
  const use = (text, label) => button(label, () => {
    put(text);
    check();
    input.focus();
  }, { class: "qk-button qk-button-quiet" });
  const warn = (text, ...more) => h("p", { class: "qk-note qk-note-warning" }, text, " ", ...more);

  const follow = async () => {
    const text = source.value.trim();
    const found = text ? await question({ field: key, text }) : { slug: "", is_taken: false };
    // While a new entry is saved, its own address may already count as another entry's.
    if (!found || !isFollowing || isSaving || typeof found.slug !== "string") return;
    if (input.value !== found.slug) put(found.slug);
    if (text && !found.slug) say(h("p", { class: "qk-said" }, "No address can be made of these letters. Please write one: small letters, digits and hyphens."));
    else say(found.is_taken && h("p", { class: "qk-said" }, "Another entry has the plain address, so this one ends in a number."));
  };
  const check = async () => {
    const typed = input.value.trim();
    const found = typed || input.defaultValue ? await question({ field: key, text: typed, typed: "1" }) : null;
    if (!found || typeof found.slug !== "string" || input.value.trim() !== typed) {
      if (!typed) say();
      return;
    }
    const isChanged = found.public && found.public !== typed;
    say(
      typed && found.is_taken && warn("Another entry has this address.", found.slug && `“${found.slug}” is free.`, found.slug && use(found.slug, "Use that")),
      typed && !found.is_taken && found.slug !== typed && warn(
        "An address has small letters, digits and single hyphens between them.",
        found.slug && `“${found.slug}” would do.`, found.slug && use(found.slug, "Use that")),
      isChanged && warn(`It is public as “${found.public}”; links to that address will break.`, use(found.public, "Put it back")),
    );
  };
  input.addEventListener("input", () => {
    if (isOurs) return;
    isFollowing = !input.value.trim() && !input.defaultValue;
    check();
  });
  source?.addEventListener("input", () => {
    if (isFollowing && source.value !== undefined) follow();
  });
  document.addEventListener("qk:saving", () => {
    isSaving = true;
  });
  document.addEventListener("qk:saved", () => {
    isSaving = false;
    if (input.value) isFollowing = false;
  });
  document.addEventListener("qk:refused", () => {
    isSaving = false;
    if (isFollowing && source) follow();
  });
  input.after(note);
});
