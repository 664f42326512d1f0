/* A map of the world beside latitude and longitude, drawn from a file of ours; and places pasted in any spelling. */

import { announce, changed, h } from "./dom.js";
import { enhance } from "./enhance.js";

const SPACE = "http://www.w3.org/2000/svg";
const ONE = /([-−+]?\d+(?:\.\d+)?)\s*°?(?:\s*(\d+(?:\.\d+)?)\s*['′’])?(?:\s*(\d+(?:\.\d+)?)\s*(?:["″”]|''))?\s*([NSEW])?/giu;

/** Return the degrees that stand in a text: `64.1, -21.9`, `64°8′N 21°56′W`; null when it is anything else. */
export function degreesIn(text) {
  const rest = text.replace(ONE, "").replace(/[\s,;/]/gu, "");
  const found = [...text.matchAll(ONE)].map(([, whole, minutes = 0, seconds = 0, side = ""]) => {
    const number = Number(whole.replace("−", "-"));
    const size = Math.abs(number) + Number(minutes) / 60 + Number(seconds) / 3600;
    const isBelow = number < 0 || whole.startsWith("-") || whole.startsWith("−") || /[SW]/iu.test(side);
    return { degrees: Math.round((isBelow ? -size : size) * 1e7) / 1e7, side: side.toUpperCase() };
  });
  if (rest || !found.length || found.length > 2) return null;
  if (found.length === 2 && /[EW]/u.test(found[0].side)) found.reverse();
  return found.map(({ degrees }) => degrees);
}

enhance("input[data-map]", (lat) => {
  const lng = lat.form?.elements.namedItem(lat.name.replace(/_lat$/u, "_lng"));
  if (!lng) return;
  const marker = svg("circle", { r: 7, class: "qk-map-marker" });
  const drawing = svg("svg", { viewBox: "0 0 720 360", class: "qk-map-drawing", "aria-hidden": "true" });
  drawing.append(svg("use", { href: `${lat.dataset.map}#land`, class: "qk-map-land" }), marker);
  const map = h("div", {
    class: "qk-map", tabindex: 0, role: "application", "aria-roledescription": "map",
    "aria-label": "Map of the world. Arrow keys move the marker, with Shift in bigger steps.",
  }, drawing);
  const said = h("p", { class: "qk-said" });
  const link = h("a", { target: "_blank", rel: "noopener noreferrer" }, "Show on OpenStreetMap");

  const place = () => {
    const point = [lat, lng].map((input) => (input.value.trim() ? Number(input.value) : Number.NaN));
    return Math.abs(point[0]) <= 90 && Math.abs(point[1]) <= 180 ? point : null;
  };
  const show = () => {
    const point = place();
    marker.style.display = point ? "" : "none";
    link.hidden = !point;
    said.textContent = point ? inWords(point) : "Click on the map, or paste a place such as 64.15, -21.94.";
    if (!point) return;
    marker.setAttribute("cx", (point[1] + 180) * 2);
    marker.setAttribute("cy", (90 - point[0]) * 2);
    link.href = `https://www.openstreetmap.org/?mlat=${point[0]}&mlon=${point[1]}#map=12/${point[0]}/${point[1]}`;
  };
  const set = ([north, east]) => {
    lat.value = String(Math.min(90, Math.max(-90, Math.round(north * 1e7) / 1e7)));
    lng.value = String(Math.round((((east + 180) % 360 + 360) % 360 - 180) * 1e7) / 1e7);
    changed(lat);
    changed(lng);
  };
  map.addEventListener("click", (event) => {
    const box = drawing.getBoundingClientRect();
    const step = (number) => Math.round(number * 10) / 10;
    set([step(90 - ((event.clientY - box.top) / box.height) * 180), step(((event.clientX - box.left) / box.width) * 360 - 180)]);
    announce(said.textContent);
  });
  map.addEventListener("keydown", (event) => {
    const way = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const size = event.shiftKey ? 10 : 1;
    const [north, east] = place() ?? [0, 0];
    set([north + way[0] * size, east + way[1] * size]);
    announce(said.textContent);
  });
  for (const input of [lat, lng]) {
    input.addEventListener("input", show);
    input.addEventListener("paste", (event) => {
      const point = degreesIn(event.clipboardData?.getData("text") ?? "");
      if (point?.length !== 2) return;
      event.preventDefault();
      set(point);
    });
    input.addEventListener("change", (event) => {
      const point = degreesIn(input.value);
      if (!event.isTrusted || !point || String(point[0]) === input.value) return;
      if (point.length === 2) set(point);
      else {
        input.value = String(point[0]);
        changed(input);
      }
    });
  }
  lng.after(map, h("div", { class: "qk-map-foot" }, said, link));
  show();
});

function inWords([north, east]) {
  const part = (number, above, below) => `${Math.abs(number)}° ${number < 0 ? below : above}`;
  return `${part(north, "north", "south")}, ${part(east, "east", "west")}`;
}

function svg(tag, attributes) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
