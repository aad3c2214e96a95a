// The job types, and what waits and runs of each.

import { pause, resume } from "./actions.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { addressOfJobs } from "./filters.js";
import { count, duration } from "./format.js";

const SOON = 1; // seconds for which it is not worth a word that a job is ready

/** Show the job types, with what of them waits and runs at this moment. */
export function showTypes(types, queue) {
  const unfinished = new Map(queue.types.map((each) => [each.type, each]));
  fill($("types"), types, createType, (row, type) => {
    const [head, pending, running, failed, action] = row.children;
    const [name, latency, terms] = head.children;
    const isKnown = type.runs_in !== undefined; // else it is of other programs
    setText(name, type.type);
    setAttribute(name, "href", addressOfJobs({ type: type.type }));
    setText(latency, isKnown ? latencyOf(unfinished.get(type.type) ?? {}) : "no handler here");
    setText(terms, limitsOf(type));
    const how = isKnown ? `runs in the ${type.runs_in}` : "no handler here";
    setAttribute(head, "title", [`${type.type}: ${how}`, limitsOf(type)].filter(Boolean).join(", "));
    showCount(pending, type, "pending");
    showCount(running, type, "processing");
    showCount(failed, type, "failed");
    setText(
      running.lastElementChild,
      type.concurrency && !type.per_key ? ` of ${count(type.concurrency)}` : "",
    );
    const button = action.firstElementChild;
    setText(button, type.paused ? "Resume" : "Pause");
    setAttribute(button, "aria-label", `${type.paused ? "Resume" : "Pause"} ${type.type}`);
    button.onclick = () => (type.paused ? resume : pause)(type.type);
  });
}

/** How many jobs of a type have this status, and where they are listed. */
function showCount(cell, type, status) {
  const link = cell.firstElementChild;
  setText(link, count(type[status]));
  const any = type[status] > 0;
  setAttribute(link, "aria-label", any ? `${link.textContent} ${status} of ${type.type}` : null);
  setAttribute(link, "href", any ? addressOfJobs({ type: type.type, status }) : null);
}

/** How long the oldest ready job of a type waits, and all of them will, if that is worth a word. */
function latencyOf({ ready, oldest_ready_seconds: oldest = 0, seconds_to_empty: empty }) {
  if (!ready || oldest < SOON) return "";
  const left = empty === undefined ? "none starts" : `${duration(empty)} to go`;
  return `oldest ${duration(oldest)}, ${left}`;
}

/** The limits of a type, but for the one that is beside the number of its running jobs. */
const limitsOf = (type) =>
  [
    type.per_key && type.concurrency && `${count(type.concurrency)} at a time`,
    type.rate_starts && `${count(type.rate_starts)} per ${type.rate_seconds} s`,
    type.per_key && (type.concurrency || type.rate_starts ? "for each key" : "keys take turns"),
  ]
    .filter(Boolean)
    .join(", ");

const createType = () =>
  make(
    "tr",
    {},
    make("th", { scope: "row" }, make("a"), make("small"), make("small")),
    ...[1, 2, 3].map(() => make("td", { class: "number" }, make("a"), make("span"))),
    make("td", { class: "number" }, make("button", { type: "button", "data-needs": "operate", class: "small" })),
  );
