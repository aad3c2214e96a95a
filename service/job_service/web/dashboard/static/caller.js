// Who looks at this page, and what they may do: the style hides what `data-needs` another role.

import { read } from "./api.js";
import { $, setText } from "./dom.js";

/** Ask what the token may do, and show it. */
export async function showCaller(signal) {
  const { role, name } = await read("/whoami", signal);
  document.body.dataset.role = role;
  $("caller").hidden = name === undefined && role === "operate";
  setText($("caller"), name === undefined ? `may ${role}` : `${name}, may ${role}`);
}
