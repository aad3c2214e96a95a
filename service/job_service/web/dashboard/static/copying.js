// Buttons that copy a text of the page. A page that was loaded without TLS may not, and has none.

import { say } from "./dialogs.js";
import { $, make } from "./dom.js";

document.body.classList.toggle("copies", navigator.clipboard !== undefined);

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("button[data-copies]");
  if (button === null) return;
  const source = $(button.dataset.copies) ?? button.nextElementSibling;
  try {
    await navigator.clipboard.writeText(source.textContent);
    say("Copied.");
  } catch (error) {
    say(`That did not work: ${error.message}`, true);
  }
});

/** A button that copies the text of the element behind it. */
export const makeCopyButton = (what) =>
  make(
    "button",
    { type: "button", class: "small", "data-copies": "", "aria-label": `Copy ${what}` },
    "Copy",
  );
