// One group above the table of its jobs: how far it is, and what can be done to it as one.

import { cancelGroup, retryGroup } from "./actions.js";
import { Problem, read } from "./api.js";
import { $, setAttribute, setText } from "./dom.js";
import { groupSought } from "./filters.js";
import { count, percent } from "./format.js";

const COUNTED = ["pending", "processing", "completed", "failed", "cancelled"];

let group = null;

$("group-cancel").addEventListener("click", () => cancelGroup(group));
$("group-retry").addEventListener("click", async () => {
  const here = location.hash;
  const made = await retryGroup(group);
  if (made && location.hash === here) location.hash = `#/?group=${made.id}`;
});

/** Show the group whose jobs are listed, if they are those of one. */
export async function showGroup(signal) {
  const id = groupSought();
  let found = null;
  if (id !== null) {
    try {
      found = await read(`/groups/${encodeURIComponent(id)}`, signal);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
    }
  }
  group = found;
  $("group").hidden = group === null;
  if (group !== null) show();
}

function show() {
  const running = group.status === "running";
  setText($("group-status"), group.status);
  setAttribute($("group-status"), "data-status", running ? "processing" : group.status);
  setAttribute($("group-bar"), "value", group.progress);
  const told = COUNTED.filter((status) => group[status] > 0);
  const counts = told.map((status) => `${count(group[status])} ${status}`).join(", ");
  setText($("group-counts"), `${percent(group.progress)} of ${count(group.jobs)} jobs: ${counts}`);
  const next = group.callback_id;
  $("group-next").hidden = next === undefined;
  setAttribute($("group-next"), "href", next === undefined ? null : `#/jobs/${next}`);
  $("group-cancel").hidden = !running;
  $("group-retry").hidden = running || group.status === "completed";
}
