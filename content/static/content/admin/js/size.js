/* Says before it is sent when a form is larger than what can be saved at once, and which field is the largest. */

import { snapshot } from "./dirty.js";

/** Return null, or what to say: on the whole, and at the largest field. */
export async function whatIsTooLarge(form, data) {
  const most = { bytes: Number(form.dataset.maxBytes), inputs: Number(form.dataset.maxInputs) };
  const inputs = [...data.keys()].length;
  if (most.inputs && inputs > most.inputs) {
    return { text: `The form has ${inputs.toLocaleString("en")} inputs; at most ${most.inputs.toLocaleString("en")} can be saved at once.` };
  }
  const { size } = await new Response(data).blob();
  if (!most.bytes || size <= most.bytes) return null;
  const weighed = [...snapshot()].map(([key, held]) => [key, new Blob([held]).size]).sort((one, other) => other[1] - one[1]);
  const field = weighed.length ? document.querySelector(`[id="${CSS.escape(`field-${weighed[0][0]}`)}"]`) : null;
  const largest = field ? ` The largest field is ${field.dataset.label}, with ${megabytes(weighed[0][1])}.` : "";
  return {
    text: `The form is ${megabytes(size)}; at most ${megabytes(most.bytes)} can be saved at once.${largest}`,
    detail: field ? `This is ${megabytes(weighed[0][1])}. The whole form is ${megabytes(size)}; at most ${megabytes(most.bytes)} can be saved at once.` : "",
    field,
  };
}

function megabytes(size) {
  return `${(size / 1e6).toFixed(1).replace(/\.0$/u, "")} MB`;
}
