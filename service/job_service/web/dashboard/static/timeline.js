// A job's life as a list of moments, and as a band whose parts are as long as it waited and ran.

import { since } from "./api.js";
import { draw, setAttribute } from "./dom.js";
import { between, duration, plural } from "./format.js";

const PARTS = [
  ...["waiting", "processing", "completed", "failed", "cancelled", "abandoned"],
  ...["lost", "interrupted"],
];
const ENDED = {
  lost: "was lost: its process died",
  interrupted: "was interrupted by a stop, and costs no retry",
};

/** The moments of a job, in order: `{at, what, after, status}`. */
export function moments(job) {
  const found = [
    {
      at: job.created_at,
      what: "Created",
      after: job.schedule ? `by the schedule ${job.schedule}` : "",
      status: "pending",
    },
  ];
  let waiting = job.created_at;
  for (const attempt of job.attempts) {
    found.push({
      at: attempt.started_at,
      what: `Attempt ${attempt.attempt} began on ${attempt.worker_id}`,
      after: `after waiting for ${duration(between(waiting, attempt.started_at))}`,
      status: "processing",
    });
    if (attempt.finished_at === undefined) continue;
    waiting = attempt.finished_at;
    found.push({
      at: attempt.finished_at,
      what: `Attempt ${attempt.attempt} ${ENDED[attempt.outcome] ?? attempt.outcome}`,
      after: `after ${duration(attempt.run_seconds)}`,
      status: attempt.outcome,
    });
  }
  if (job.finished_at) {
    const took = between(job.created_at, job.finished_at);
    const attempts = job.attempts.length
      ? ` and ${plural(job.attempts.length, "attempt")}`
      : "";
    found.push({
      at: job.finished_at,
      what: `Job ${job.status}`,
      after: `after ${duration(took)}${attempts}`,
      status: job.status,
    });
  } else if (job.run_at) {
    found.push({ at: job.run_at, what: "Due", after: "", status: "pending" });
  }
  return found;
}

/** Draw the life so far, of so many seconds, into `parent`. */
export function showBand(parent, job, seconds) {
  const svg =
    parent.firstElementChild ?? parent.appendChild(draw("svg", { class: "band", role: "img" }));
  const spans = [{ from: 0, to: seconds, part: "waiting" }];
  for (const attempt of job.attempts) {
    const from = between(job.created_at, attempt.started_at);
    const length = attempt.run_seconds ?? since(attempt.started_at);
    spans.push({ from, to: from + length, part: attempt.outcome ?? "processing" });
  }
  while (svg.children.length > spans.length) svg.lastElementChild.remove();
  while (svg.children.length < spans.length) svg.append(draw("rect", { height: "100%" }));
  const whole = Math.max(seconds, 1e-6);
  spans.forEach(({ from, to, part }, index) => {
    const rect = svg.children[index];
    setAttribute(rect, "class", PARTS.includes(part) ? part : null);
    // What is too short to be seen is drawn a little longer.
    const width = Math.max(0.4, (100 * (to - from)) / whole);
    setAttribute(
      rect,
      "x",
      `${Math.min(100 - width, Math.max(0, (100 * from) / whole)).toFixed(2)}%`,
    );
    setAttribute(rect, "width", `${Math.min(100, width).toFixed(2)}%`);
  });
  const ran = job.attempts.reduce(
    (sum, attempt) => sum + (attempt.run_seconds ?? since(attempt.started_at)),
    0,
  );
  setAttribute(
    svg,
    "aria-label",
    `It ran for ${duration(ran)} of ${duration(seconds)}, and waited for the rest.`,
  );
}
