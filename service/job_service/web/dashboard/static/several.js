// Several values of one filter, each to be ticked: a tab or a field takes one alone.

import { fill, make, setText } from "./dom.js";

/** Offer these values in `parent`; `choose` is called with those that are ticked from now on. */
export function offerSeveral(parent, values, chosen, choose) {
  fill(parent, values, createChoice, (label, value) => {
    const [box, name] = label.children;
    box.value = value;
    box.checked = chosen.includes(value);
    setText(name, value);
  });
  parent.onchange = () =>
    choose(Array.from(parent.querySelectorAll("input:checked"), (box) => box.value));
}

const createChoice = () => make("label", {}, make("input", { type: "checkbox" }), make("span"));
