/* Comfort in modelling: a row's heading follows what is typed. Everything works without it. */
for (const row of document.querySelectorAll("[data-qk-row]")) {
  const heading = row.querySelector(".qk-row-name");
  const inputs = ["label", "key"].map((name) => row.querySelector(`.qk-box-${name} input`));
  const show = () => {
    heading.textContent = inputs.map((input) => input?.value.trim()).find(Boolean) || "New field";
  };
  for (const input of inputs) input?.addEventListener("input", show);
}

/* A link in the summary of faults opens the row that it leads to. */
function open() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (target) {
    const row = target.closest("details");
    if (row) row.open = true;
    target.focus();
  }
}
window.addEventListener("hashchange", open);
open();
