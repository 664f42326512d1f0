/* Date and time in a zone that the person chooses, in front of the inputs that are sent, which say it in UTC. */

import { button, changed, h } from "./dom.js";
import { enhance } from "./enhance.js";

const REMEMBERED = "qk-zone";
const own = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const CLOCK = /^\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?$/u;

/** Return how many milliseconds the clocks of a zone are ahead of UTC at a moment. */
function ahead(moment, zone) {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", era: "short", year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  const part = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, value]));
  const shown = Date.parse(`${part.year.padStart(4, "0")}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}Z`);
  return shown - Math.floor(moment / 1000) * 1000;
}

/** Return the moments at which the clocks of a zone show this: none when they jump over it, two when it comes twice. */
export function momentsAt(day, time, zone) {
  const shown = Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}Z`);
  const guesses = [-86_400_000, 86_400_000].map((away) => shown - ahead(shown + away, zone));
  return [...new Set(guesses)].filter((moment) => moment + ahead(moment, zone) === shown).sort((one, other) => one - other);
}

function isZone(name) {
  try {
    return Boolean(Intl.DateTimeFormat("en", { timeZone: name })) && !/^[+-]/u.test(name);
  } catch {
    return false;
  }
}

function offsetInWords(moment, zone) {
  const minutes = Math.round(ahead(moment, zone) / 60_000);
  const two = (number) => String(number).padStart(2, "0");
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}

function inWords(moment, zone) {
  return new Intl.DateTimeFormat("en-GB", { timeZone: zone, dateStyle: "full", timeStyle: "short" }).format(moment);
}

const clockOf = (moment) => {
  const [day, time] = new Date(moment).toISOString().split("T");
  return [day, time.slice(0, time.startsWith("00", 6) ? 5 : 8)];
};

enhance("input[data-moment]", (sentZone) => {
  const named = (part) => sentZone.form?.elements.namedItem(sentZone.name.replace(/zone$/u, part));
  const [sentDay, sentTime] = [named("day"), named("time")];
  const isEmpty = !sentDay?.value && !sentTime?.value;
  const isUtc = ["", "UTC", "Z"].includes(sentZone.value);
  if (!sentDay || !sentTime || (!isEmpty && (!sentDay.value || !CLOCK.test(sentTime.value))) || !(isUtc || isZone(sentZone.value))) return;

  const came = [sentDay.value, sentTime.value, sentZone.value];
  const cameAt = isEmpty || !isUtc ? null : momentsAt(sentDay.value, sentTime.value.split(".")[0], "UTC")[0];
  const remembered = localStorage.getItem(REMEMBERED);
  const first = isUtc ? (remembered && isZone(remembered) ? remembered : own) : sentZone.value;

  const day = h("input", { type: "date", class: "vDateField", "aria-label": "Date" });
  const time = h("input", { type: "time", step: 1, class: "vTimeField", "aria-label": "Time" });
  if (!came[1] || came[1].length === 5 || came[1].endsWith(":00")) time.removeAttribute("step");
  const option = (zone) => h("option", { value: zone }, zone === own ? `${zone} (yours)` : zone);
  const zone = h("select", { class: "qk-zone", "aria-label": "Time zone" }, [...new Set([own, "UTC", first])].map(option));
  zone.value = first;
  const twice = h("select", { "aria-label": "Which of the two times", hidden: true });
  const said = h("p", { class: "qk-said", role: "status" });
  let moment = Number.isFinite(cameAt) ? cameAt : null;

  // The list is long; it is made when somebody wants it.
  const fill = () => {
    if (zone.options.length > 3) return;
    const known = new Set([...zone.options].map(({ value }) => value));
    zone.append(...(Intl.supportedValuesOf?.("timeZone") ?? []).filter((name) => !known.has(name)).map(option));
  };
  for (const event of ["focus", "pointerdown"]) zone.addEventListener(event, fill);

  const send = (values) => {
    const inputs = [sentDay, sentTime, sentZone];
    if (inputs.every((input, at) => input.value === values[at])) return;
    inputs.forEach((input, at) => {
      input.value = values[at];
    });
    changed(sentTime);
  };
  const show = () => {
    if (moment === null) return;
    const elsewhere = zone.value === "UTC" ? "" : ` · ${inWords(moment, "UTC")} UTC`;
    said.textContent = `${inWords(moment, zone.value)} (${offsetInWords(moment, zone.value)})${elsewhere}`;
  };
  const place = () => {
    if (moment !== null) [day.value, time.value] = clockOf(moment + ahead(moment, zone.value));
    show();
  };
  const read = () => {
    said.textContent = "";
    twice.hidden = true;
    moment = null;
    if (!day.value && !time.value) return send(came[0] || came[1] ? ["", "", "UTC"] : came);
    if (!day.value || !time.value) {
      said.textContent = day.value ? "Without a time it is midnight, 00:00." : "Please choose a date too.";
      return send([day.value, time.value, zone.value]);
    }
    const found = momentsAt(day.value, time.value, zone.value);
    if (!found.length) {
      said.textContent = `There is no such time in ${zone.value}: the clocks are put forward over it. Please choose another.`;
      return send([day.value, time.value, zone.value]);
    }
    if (found.length === 2) {
      const chosen = twice.selectedIndex === 1 ? 1 : 0;
      twice.replaceChildren(...found.map((at, number) => h("option", {}, `${number ? "the second" : "the first"} time, ${offsetInWords(at, zone.value)}`)));
      twice.selectedIndex = chosen;
      twice.hidden = false;
      moment = found[chosen];
    } else [moment] = found;
    show();
    if (found.length === 2) said.textContent = `This time comes twice, as the clocks are put back. ${said.textContent}`;
    return send(moment === cameAt ? came : [...clockOf(moment), "UTC"]);
  };
  for (const input of [day, time]) input.addEventListener("input", read);
  twice.addEventListener("change", read);
  // Another zone shows the same moment: looking at it from elsewhere changes nothing.
  zone.addEventListener("change", () => {
    localStorage.setItem(REMEMBERED, zone.value);
    twice.hidden = true;
    if (moment === null) read();
    else place();
  });
  const now = button("Now", () => {
    moment = Math.floor(Date.now() / 60_000) * 60_000;
    twice.hidden = true;
    place();
    send([...clockOf(moment), "UTC"]);
  }, { class: "qk-button qk-button-quiet" });
  for (const input of [day, time]) {
    for (const name of ["aria-describedby", "aria-invalid"]) {
      if (sentDay.hasAttribute(name)) input.setAttribute(name, sentDay.getAttribute(name));
    }
  }
  sentDay.before(h("div", { class: "qk-moment" }, day, time, twice, zone, now), said);
  for (const input of [sentDay, sentTime, sentZone]) input.hidden = true;
  if (isUtc) place();
  else {
    [day.value, time.value] = [sentDay.value, sentTime.value];
    read();
  }
});

/* A day alone is written in no zone; a button fills in today's, as the person's own calendar has it. */
enhance("input[type=date].vDateField[name]:not([name$=_day])", (input) => {
  const today = button("Today", () => {
    input.value = clockOf(Date.now() + ahead(Date.now(), own))[0];
    changed(input);
  }, { class: "qk-button qk-button-quiet" });
  input.after(today);
});
