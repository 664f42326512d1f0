/* Groups of fields as tabs (ARIA tabs pattern), each with marks for what is wrong and what is not saved in it. */

import { h } from "./dom.js";

const form = document.querySelector("[data-qk-form]");
const groups = form ? [...form.querySelectorAll("[data-qk-group]")] : [];

if (groups.length > 1) {
  const tabs = groups.map((group, index) => {
    group.querySelector(":scope > h2")?.classList.add("visually-hidden");
    group.setAttribute("role", "tabpanel");
    const tab = h("button", {
      type: "button", role: "tab", id: `tab-${index + 1}`, "aria-controls": group.id, onclick: () => choose(index),
    }, group.dataset.qkGroup, h("span", { class: "qk-badge", hidden: true }));
    group.setAttribute("aria-labelledby", tab.id);
    group.addEventListener("qk:show", () => choose(index));
    return tab;
  });
  const list = h("div", { role: "tablist", class: "qk-tabs qk-group-tabs", "aria-label": "Groups of fields" }, tabs);
  groups[0].before(list);
  list.addEventListener("keydown", (event) => {
    const turned = getComputedStyle(list).direction === "rtl" ? -1 : 1;
    const step = { ArrowRight: turned, ArrowLeft: -turned }[event.key];
    const present = tabs.indexOf(document.activeElement);
    const next = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1 : present + (step ?? 0);
    if (present < 0 || next === present) return;
    event.preventDefault();
    choose((next + tabs.length) % tabs.length);
    tabs[(next + tabs.length) % tabs.length].focus();
  });

  const choose = (chosen) => {
    groups.forEach((group, index) => {
      group.hidden = index !== chosen;
      tabs[index].setAttribute("aria-selected", String(index === chosen));
      tabs[index].tabIndex = index === chosen ? 0 : -1;
    });
  };
  const badge = () => {
    groups.forEach((group, index) => {
      const faults = group.querySelectorAll(".qk-notes .errorlist").length;
      const unsaved = group.querySelectorAll(".qk-unsaved").length;
      const mark = tabs[index].querySelector(".qk-badge");
      mark.hidden = !faults && !unsaved;
      mark.classList.toggle("qk-badge-wrong", faults > 0);
      mark.textContent = faults ? String(faults) : "";
      mark.append(h("span", { class: "visually-hidden" }, faults ? " to look at" : unsaved ? " not saved" : ""));
    });
  };
  choose(0);
  badge();
  form.addEventListener("qk:dirty", () => queueMicrotask(badge));
  for (const name of ["qk:saved", "qk:refused"]) document.addEventListener(name, badge);
}
