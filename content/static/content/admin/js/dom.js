/* Builds elements. Text is always text: nothing here, or anywhere else in the admin, reads markup from a string. */

/** Return an element; `on*` functions become listeners, true an empty attribute, null and false none. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let drawn = null; // an icon to copy: a large form has hundreds of them
let sprite = "";

/** Return an icon of the sprite; it says nothing to screen readers, so the button around it needs a label. */
export function icon(name) {
  drawn ??= emptyIcon();
  const svg = drawn.cloneNode(true);
  svg.firstChild.setAttribute("href", `${sprite}#${name}`);
  return svg;
}

function emptyIcon() {
  sprite = document.querySelector("meta[name=qk-icons]").content;
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "qk-icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(space, "use"));
  return svg;
}

/** Return a button that does something here; `type=button`, so that it never sends the form. */
export function button(label, act, { icon: name, ...attributes } = {}) {
  return h("button", { type: "button", onclick: act, ...attributes }, name ? icon(name) : null, label);
}

/** Tell people who can't see the page what happened. */
export function announce(text) {
  let region = document.querySelector("#qk-announcements");
  if (!region) {
    region = h("div", { id: "qk-announcements", class: "visually-hidden", role: "status", "aria-live": "polite" });
    document.body.append(region);
  }
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
}

/** Let everybody who listens to the form know that a script has changed an input. */
export function changed(input) {
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
}
