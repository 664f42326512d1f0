/* Checks JSON while it is written and says in words where it breaks; tidies it; Tab indents, Escape then Tab leaves. */

import { announce, button, changed, h } from "./dom.js";
import { enhance } from "./enhance.js";

const BIG = 100_000;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gsu;
let made = 0;

enhance("textarea[data-json]", (area) => {
  const hint = h("p", { class: "qk-said", id: `qk-json-${(made += 1)}` }, "Tab indents. To leave with the keyboard, press Escape, then Tab.");
  const said = h("p", { class: "qk-said qk-json-said" });
  const tidyIt = button("Tidy", () => tidy(area), { class: "qk-button qk-button-quiet" });
  let timer = 0;
  let isLeaving = false;
  const check = () => {
    const fault = faultIn(area.value);
    said.textContent = fault || (area.value.trim() ? "This is right JSON." : "");
    said.classList.toggle("qk-over", Boolean(fault));
    tidyIt.disabled = Boolean(fault) || !area.value.trim();
    return fault;
  };
  area.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, area.value.length > BIG ? 900 : 250);
  });
  area.addEventListener("change", (event) => {
    clearTimeout(timer);
    const fault = check();
    if (fault && event.isTrusted) announce(fault);
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      isLeaving = true;
      return;
    }
    if (event.key === "Tab" && !event.shiftKey && !isLeaving && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      put(area, "  ");
    }
    if (event.key !== "Tab") isLeaving = false;
  });
  area.addEventListener("blur", () => {
    isLeaving = false;
  });
  area.classList.add("qk-code");
  area.setAttribute("aria-describedby", `${area.getAttribute("aria-describedby") ?? ""} ${hint.id}`.trim());
  area.after(h("div", { class: "qk-json-foot" }, said, tidyIt), hint);
  check();
});

/** Return where and how a text is no JSON, in a sentence; "" when it is right. */
export function faultIn(text) {
  if (!text.trim()) return "";
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    const at = positionIn(String(error.message), text);
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    return `Line ${line}, column ${column}: ${reason(text, at)}`;
  }
}

function positionIn(message, text) {
  const position = /position (\d+)/u.exec(message);
  if (position) return Number(position[1]);
  const place = /line (\d+) column (\d+)/u.exec(message);
  if (place) return text.split("\n").slice(0, place[1] - 1).join("\n").length + Number(place[2]) - (place[1] > 1 ? 0 : 1);
  if (/end of/u.test(message)) return text.trimEnd().length;
  // Some messages name no place: the first character from which on no longer text could become right.
  const token = /token '?(.)/u.exec(message);
  const found = token ? text.indexOf(token[1]) : -1;
  return found >= 0 ? found : text.length;
}

function reason(text, at) {
  const found = text[at];
  const before = text.slice(0, at).trimEnd().at(-1);
  if (found === undefined || !text.slice(at).trim()) return "the text ends too early; something is not closed.";
  if (before === "," && "}]".includes(found)) return "there is a comma too many before this.";
  if (found === "'" || found === "“" || found === "”") return "texts stand between straight double quotation marks.";
  if (found === "\n") return "a line break can’t stand inside of a text; write \\n.";
  if (found === '"' || found === "{" || found === "[") return "a comma or a colon seems to be missing before this.";
  return `“${found}” can’t stand here.`;
}

/** Set each member on a line of its own. Works on the signs, so that no number or repeated key is lost. */
function tidy(area) {
  if (faultIn(area.value)) return;
  const tokens = area.value.match(TOKEN) ?? [];
  let depth = 0;
  let text = "";
  tokens.forEach((token, at) => {
    const line = () => `\n${"  ".repeat(depth)}`;
    if ("}]".includes(token)) {
      depth -= 1;
      text += "{[".includes(tokens[at - 1]) ? token : line() + token;
    } else if ("{[".includes(token)) {
      depth += 1;
      text += "}]".includes(tokens[at + 1]) ? token : token + line();
    } else text += token === "," ? token + line() : token === ":" ? ": " : token;
  });
  area.focus();
  area.select();
  put(area, text);
  announce("Tidied.");
}

/** Put a text in the place of what is selected, so that it can be undone; long ones at once, as that is slow. */
function put(area, text) {
  if (text.length <= BIG && document.execCommand("insertText", false, text)) return;
  area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
  changed(area);
}
