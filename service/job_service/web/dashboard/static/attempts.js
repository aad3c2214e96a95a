// The attempts of a job: where each ran and how it ended, with its log and its traceback.

import { makeCopyButton } from "./copying.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { clockInZone, duration, exactly, plural } from "./format.js";

/** How many a job may come to: those that snoozed, were cut short by a stop, or lost cost no retry. */
export const mostAttempts = ({ max_retries: retries, snoozes = 0, interruptions = 0, losses = 0 }) =>
  1 + retries + snoozes + interruptions + losses;

/** Show the attempts of this job, or why there are none. */
export function showAttempts(job) {
  $("attempts-empty").hidden = job.attempts.length > 0;
  setText(
    $("attempts-empty"),
    job.status === "pending" ? "None yet." : "None: it never ran.",
  );
  fill($("attempts"), job.attempts, createAttempt, (row, attempt) => {
    const [head, error, log, details] = row.children;
    const [title, status, where] = head.children;
    setText(title, `Attempt ${attempt.attempt}`);
    setText(status, attempt.outcome ?? "processing");
    setAttribute(status, "data-status", attempt.outcome ?? "processing");
    const ran =
      attempt.run_seconds === undefined ? "" : `, ran for ${duration(attempt.run_seconds)}`;
    setText(where, `on ${attempt.worker_id} from ${clockInZone(attempt.started_at)}${ran}`);
    error.hidden = attempt.error === undefined;
    setText(error, attempt.error ?? "");
    log.hidden = attempt.log === undefined;
    setText(log.lastElementChild, attempt.log ? written(attempt.log) : "");
    details.hidden = attempt.traceback === undefined;
    setText(details.lastElementChild, attempt.traceback ?? "");
    if (job.status === "failed" && attempt === job.attempts.at(-1)) details.open = true;
  });
}

/** What a handler wrote with `job.log`, a line for each. */
const written = ({ first = [], missing = 0, last = [] }) =>
  [
    ...first.map(lineOf),
    missing > 0 && `… ${plural(missing, "line")} missing here`,
    ...last.map(lineOf),
  ]
    .filter(Boolean)
    .join("\n");

const lineOf = ({ timestamp, level, event, fields = {} }) =>
  [
    exactly(timestamp),
    level,
    event,
    ...Object.entries(fields).map(
      ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    ),
  ].join(" ");

const createAttempt = () =>
  make(
    "li",
    {},
    make(
      "div",
      { class: "line" },
      make("h3"),
      make("span", { class: "status" }),
      make("span", { class: "quiet" }),
    ),
    make("p", { class: "error" }),
    make("details", { open: "" }, make("summary", {}, "Log"), make("pre", { tabindex: "0" })),
    make(
      "details",
      {},
      make("summary", {}, "Traceback"),
      makeCopyButton("the traceback"),
      make("pre", { tabindex: "0" }),
    ),
  );
