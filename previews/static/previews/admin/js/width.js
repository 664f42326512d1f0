/* How wide the page in the pane is: as on a phone, on a tablet, or as wide as the pane; drawn smaller where it must be. */

const WIDTHS = { phone: 390, tablet: 820, desktop: 0 };

/** Return one of the known widths. */
export function known(name) {
  return Object.hasOwn(WIDTHS, name) ? name : "desktop";
}

/** Show the page in the stage at a width, now and whenever the pane gets another size. */
export function setWidth(pane, stage, name) {
  pane.dataset.width = name;
  for (const button of pane.querySelectorAll("[data-qk-width]")) {
    button.setAttribute("aria-pressed", String(button.dataset.qkWidth === name));
  }
  fit(pane, stage);
}

function fit(pane, stage) {
  const wanted = WIDTHS[known(pane.dataset.width)];
  const there = stage.clientWidth;
  const scale = wanted && there ? Math.min(1, there / wanted) : 1;
  stage.style.setProperty("--qk-wide", wanted ? `${wanted}px` : "100%");
  stage.style.setProperty("--qk-scale", scale);
  stage.style.setProperty("--qk-aside", `${wanted ? Math.max(0, (there - wanted * scale) / 2) : 0}px`);
}

/** Follow the size of the pane. */
export function follow(pane, stage) {
  new ResizeObserver(() => fit(pane, stage)).observe(stage);
}
