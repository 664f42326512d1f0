// Makes the form of a policy nicer: shows the fields of a collection as soon as it is chosen, and offers for each
// condition only how and with what it can be compared. Without it the same form works with one more click.

const form = document.querySelector("[data-qk-policy]");

/** Offer the operators and values of what is compared; what stands there already stays, so that nothing is lost. */
function offer(row, comparisons) {
  const [name, operator, value] = ["name", "operator", "value"].map((part) => row.querySelector(`[name$="-${part}"]`));
  const known = comparisons[name.value];
  const list = row.querySelector("datalist");
  for (const option of operator.options) {
    option.hidden = Boolean(known) && !known.operators.includes(option.value);
    option.disabled = option.hidden && !option.selected;
  }
  if (known && operator.selectedOptions[0]?.hidden) operator.value = known.operators[0];
  const isList = operator.value === "in" || operator.value === "nin";
  value.hidden = operator.value === "filled" || operator.value === "empty";
  const type = known && !isList ? { date: "date", number: "number" }[known.input] || "text" : "text";
  if (type === "text" || value.value === "" || /^[0-9.-]+$/.test(value.value)) {
    value.type = type;
    if (type === "number") value.step = "any";
  }
  for (const option of list.querySelectorAll("[data-qk-choice]")) option.remove();
  for (const [choice, words] of known ? known.choices : []) {
    const option = document.createElement("option");
    option.value = choice;
    option.textContent = words;
    option.dataset.qkChoice = "";
    list.append(option);
  }
}

if (form) {
  const holder = form.querySelector("[data-qk-comparisons]");
  const comparisons = JSON.parse(document.getElementById(holder.dataset.qkComparisons).textContent);
  const show = form.querySelector("[data-qk-show]");
  show.hidden = true;
  form.elements.collection.addEventListener("change", () => form.requestSubmit(show));
  for (const row of holder.querySelectorAll("[data-qk-condition]")) {
    offer(row, comparisons);
    row.addEventListener("change", (event) => {
      if (event.target.tagName === "SELECT") offer(row, comparisons);
    });
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "qk-button qk-button-quiet";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${row.querySelector("input").getAttribute("aria-label").split(", ")[1]}`);
    remove.addEventListener("click", () => {
      for (const input of row.querySelectorAll("select, input")) input.value = "";
      row.hidden = true;
      form.querySelector("[name=_add_row]")?.focus();
    });
    row.querySelector("input").after(remove);
  }
}
