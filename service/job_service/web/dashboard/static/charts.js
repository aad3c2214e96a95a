// Line charts of the past, drawn as SVG. Point at a chart to read its values there.

import { draw, make, setText } from "./dom.js";
import { duration } from "./format.js";
import { samples, shownSeconds } from "./history.js";

const WIDTH = 600;
const HEIGHT = 120;

/**
 * A chart in `parent`. `series` are `{key, label}`, the key being that of a sample and of a colour;
 * `write` is how a value is written, and the axis never ends below `least`. Gives a function that
 * draws it anew.
 */
export function chart(parent, { title, series, write, least }) {
  const svg = draw("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": title, // until the past has come
  });
  for (const y of [0, 0.5, 1]) {
    svg.append(draw("path", { class: "grid", d: `M0 ${y * HEIGHT}H${WIDTH}` }));
  }
  const area = draw("path", { class: `area ${series[0].key}` });
  const pointer = draw("path", { class: "pointer" });
  const lines = series.map(({ key }) => draw("path", { class: `line ${key}` }));
  svg.append(area, ...lines.toReversed(), pointer);

  const values = series.map(() => make("b", {}, "–"));
  const legend = make("ul", { class: "legend" });
  series.forEach(({ key, label }, index) => {
    legend.append(make("li", {}, make("i", { class: `key ${key}` }), `${label} `, values[index]));
  });
  const [peak, middle, earliest, when] = ["peak", "middle", "earliest", "when"].map((name) =>
    make("span", { class: name }),
  );
  const ends = make(
    "div",
    { class: "ends", "aria-hidden": "true" },
    earliest,
    when,
    make("span", {}, "now"),
  );
  const plot = make("div", { class: "plot" }, svg, peak, middle);
  parent.append(make("figure", { class: "panel" }, make("h3", {}, title), legend, plot, ends));

  const short = (value) => write(value).replace(/\.0\b/, ""); // the axis does not jump
  let pointed = null; // where somebody points, as a share of the width

  plot.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    pointed = (event.clientX - box.left) / box.width;
    redraw();
  });
  plot.addEventListener("pointerleave", () => {
    pointed = null;
    redraw();
  });

  function redraw() {
    const all = samples();
    const last = all.at(-1);
    if (!last) return;
    const seconds = shownSeconds();
    const start = last.at - seconds;
    const end = ceiling(
      Math.max(least, ...all.flatMap((sample) => series.map(({ key }) => sample[key]))),
    );
    const x = (sample) => ((sample.at - start) / seconds) * WIDTH;
    series.forEach(({ key }, index) => lines[index].setAttribute("d", `M${points(all, key, x, end)}`));
    area.setAttribute("d", filled(all, series[0].key, x, end));
    setText(peak, short(end));
    setText(middle, short(end / 2));
    setText(earliest, `${seconds / 60} min ago`);

    const shown = pointed === null ? last : nearest(all, start + pointed * seconds);
    pointer.setAttribute("d", pointed === null ? "" : `M${x(shown)} 0V${HEIGHT}`);
    setText(when, pointed === null ? "" : `${ago(last.at - shown.at)} ago`);
    series.forEach(({ key }, index) =>
      setText(values[index], write(shown[key])),
    );
    const now = series.map(({ label }, index) => `${label} ${values[index].textContent}`);
    svg.setAttribute("aria-label", `${title} in the last ${seconds > 600 ? "hour" : "minutes"}. Now: ${now.join(", ")}.`);
  }

  return redraw;
}

/** The least of 1, 2, 4, 10, 20, 40 … that is not below. Half of it is a round number, too. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 10].map((step) => step * power).find((step) => step >= value * 0.9999);
}

function points(all, key, x, end) {
  return all
    .map((sample) => `${x(sample).toFixed(1)} ${((1 - sample[key] / end) * HEIGHT).toFixed(1)}`)
    .join("L");
}

const filled = (all, key, x, end) =>
  `M${x(all[0]).toFixed(1)} ${HEIGHT}L${points(all, key, x, end)}V${HEIGHT}Z`;

const nearest = (all, at) =>
  all.reduce((best, sample) => (Math.abs(sample.at - at) < Math.abs(best.at - at) ? sample : best));

/** Whole seconds, and minutes if there are many. */
const ago = (seconds) => (seconds < 120 ? `${Math.round(seconds)} s` : duration(seconds));
