// The two questions that the page asks: are you sure, and who are you. And what it answers.

import { $, setText } from "./dom.js";

/** Ask whether to go on; resolves to the answer. Escape means no. */
export function confirm({ title, text, action, danger = false }) {
  const dialog = $("confirm");
  setText($("confirm-title"), title);
  setText($("confirm-text"), text);
  setText($("confirm-yes"), action);
  $("confirm-yes").className = danger ? "danger" : "primary";
  return new Promise((resolve) => {
    dialog.returnValue = "";
    $("confirm-yes").onclick = () => dialog.close("yes");
    $("confirm-no").onclick = () => dialog.close();
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.showModal();
  });
}

/** Ask for a token; `wrong` where one was not taken. There is no way around the answer. */
export function askForToken(wrong) {
  const dialog = $("token");
  const input = $("token-input");
  setText($("token-wrong"), wrong ? "This token was not accepted." : "");
  input.setAttribute("aria-invalid", String(wrong));
  input.value = "";
  return new Promise((resolve) => {
    dialog.oncancel = (event) => event.preventDefault();
    $("token-form").onsubmit = (event) => {
      event.preventDefault();
      dialog.oncancel = null;
      dialog.close();
      resolve(input.value.trim());
    };
    dialog.onclose = null;
    dialog.showModal();
    input.focus();
  });
}

let hiding;

/** Tell what came of an action, for some seconds. */
export function say(text, failed = false) {
  const said = $("said");
  said.dataset.failed = failed;
  setText(said, text);
  clearTimeout(hiding);
  hiding = setTimeout(() => setText(said, ""), 6000);
}
