/* What is shown once, recovery codes or keys: copy it, or keep it as a file. It is never sent anywhere again. */

const codes = [...document.querySelectorAll(".qk-codes code, .qk-keys code")].map((code) => code.textContent);
const said = document.querySelector("#codes-said");
const copy = document.querySelector("#copy-codes");
const save = document.querySelector("#save-codes");

if (copy && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(codes.join("\n"));
    said.textContent = "Copied.";
  });
}
if (save) {
  save.hidden = false;
  save.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([codes.join("\n") + "\n"], { type: "text/plain" }));
    link.download = "recovery-codes.txt";
    link.click();
    URL.revokeObjectURL(link.href);
    said.textContent = "Saved.";
  });
}
