// The page's dialogs, "are you sure" and "which token", and its short messages.

import { $, setText } from "./dom.js";

/** Whether a dialog is open: another one must not take the click that is meant for it. */
export const isAnyOpen = () => document.querySelector("dialog[open]") !== null;

/** Ask whether to go on; resolves to the answer. Escape means no, and so does an open dialog. */
export async function confirm({ title, text, action, danger = false }) {
  if (isAnyOpen()) return false;
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

/** Ask for a token; `wrong` if the last one was not accepted. The dialog can't be left without. */
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

/** Show what became of an action, for some seconds. */
export function say(text, failed = false) {
  const said = $("said");
  said.dataset.failed = failed;
  setText(said, text);
  clearTimeout(hiding);
  hiding = setTimeout(() => setText(said, ""), 6000);
}
