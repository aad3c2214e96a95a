// How many jobs match the filters, if no tab tells: all that the table has, or so many as are counted
// when somebody wants to know.

import { say } from "./dialogs.js";
import { $, setText } from "./dom.js";
import { countMatching, filtersAsText, filtersToAsk } from "./filters.js";
import { clock, count } from "./format.js";
import { countFound } from "./portions.js";

let all = null; // how many the table has; null if there are more
let counted = { filters: null, words: "" };

/** Say how many match; `jobs` is how many the table has, or null if these are not all. */
export function showMatching(jobs) {
  all = jobs;
  show();
}

function show() {
  const isTold = countMatching() !== null;
  const known = counted.filters === filtersAsText() ? counted.words : "";
  setText($("found"), isTold ? "" : all === null ? known : `${count(all)} found`);
  $("count").hidden = isTold || all !== null;
}

$("count").addEventListener("click", async () => {
  const filters = filtersAsText();
  $("count").disabled = true;
  try {
    const { jobs, isAll } = await countFound(filtersToAsk());
    const words = `${isAll ? "" : "at least "}${count(jobs)} found at ${clock(new Date())}`;
    counted = { filters, words };
    say(`${words}.`); // for those who can't see where else it stands
  } catch (error) {
    say(`That did not work: ${error.message}`, true);
  }
  $("count").disabled = false;
  show();
});
