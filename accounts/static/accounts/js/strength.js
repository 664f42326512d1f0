/* Says how hard a password is to guess while it is typed. The server estimates: it knows what everybody tries first. */

const WORDS = ["Very easily guessed", "Easily guessed", "So so", "Good", "Very good"];
const PAUSE = 250; // ms after the last key

for (const input of document.querySelectorAll("input[data-strength]")) {
  const meter = document.createElement("meter");
  const said = document.createElement("p");
  const box = document.createElement("div");
  Object.assign(meter, { min: 0, max: 4, low: 2, high: 3, optimum: 4, value: 0 });
  meter.setAttribute("aria-hidden", "true");
  said.setAttribute("role", "status");
  box.className = "qk-strength";
  box.append(meter, said);
  input.after(box);
  let timer = 0;
  let asked = null;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      asked?.abort();
      asked = new AbortController();
      const found = await estimate(input, asked.signal).catch(() => null);
      if (found) say(meter, said, found);
    }, PAUSE);
  });
}

async function estimate(input, signal) {
  const body = new FormData();
  body.set("password", input.value);
  body.set("csrfmiddlewaretoken", input.form.elements.csrfmiddlewaretoken.value);
  const answer = await fetch("/admin/password-strength/", { method: "POST", body, signal, headers: { "X-Requested-With": "quillkeep" } });
  return answer.ok ? answer.json() : null;
}

function say(meter, said, found) {
  meter.value = found.length ? Math.max(found.score, 0.3) : 0;
  if (!found.length) said.textContent = "";
  else if (found.length < found.least) said.textContent = `${found.length} of at least ${found.least} characters.`;
  else said.textContent = [WORDS[found.score] + ".", ...(found.score < 3 ? found.advice.slice(0, 2) : [])].join(" ");
}
