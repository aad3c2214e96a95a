// A job's life as a list of moments and as a band on which waiting and running have their lengths.

import { since } from "./api.js";
import { draw, setAttribute } from "./dom.js";
import { between, duration, plural } from "./format.js";

const PARTS = ["waiting", "processing", "completed", "failed", "cancelled", "abandoned"];

/** The moments of a story: `{at, what, after, status}`, in their order. */
export function moments(story) {
  const found = [
    {
      at: story.created_at,
      what: "Created",
      after: story.schedule ? `by the schedule ${story.schedule}` : "",
      status: "pending",
    },
  ];
  let waiting = story.created_at;
  for (const attempt of story.attempts) {
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
      what: `Attempt ${attempt.attempt} ${attempt.outcome}`,
      after: `after ${duration(attempt.run_seconds)}`,
      status: attempt.outcome,
    });
  }
  if (story.finished_at) {
    const took = between(story.created_at, story.finished_at);
    const attempts = story.attempts.length
      ? ` and ${plural(story.attempts.length, "attempt")}`
      : "";
    found.push({
      at: story.finished_at,
      what: `Job ${story.status}`,
      after: `after ${duration(took)}${attempts}`,
      status: story.status,
    });
  } else if (story.run_at) {
    found.push({ at: story.run_at, what: "Due", after: "", status: "pending" });
  }
  return found;
}

/** Draw the life so far, of so many seconds, into `parent`. */
export function showBand(parent, story, seconds) {
  const svg =
    parent.firstElementChild ?? parent.appendChild(draw("svg", { class: "band", role: "img" }));
  const spans = [{ from: 0, to: seconds, part: "waiting" }];
  for (const attempt of story.attempts) {
    const from = between(story.created_at, attempt.started_at);
    const length = attempt.run_seconds ?? since(attempt.started_at);
    spans.push({ from, to: from + length, part: attempt.outcome ?? "processing" });
  }
  while (svg.children.length > spans.length) svg.lastElementChild.remove();
  while (svg.children.length < spans.length) svg.append(draw("rect", { height: "100%" }));
  const whole = Math.max(seconds, 1e-6);
  spans.forEach(({ from, to, part }, index) => {
    const rect = svg.children[index];
    setAttribute(rect, "class", PARTS.includes(part) ? part : null);
    // What is too short to be seen is drawn all the same.
    const width = Math.max(0.4, (100 * (to - from)) / whole);
    setAttribute(
      rect,
      "x",
      `${Math.min(100 - width, Math.max(0, (100 * from) / whole)).toFixed(2)}%`,
    );
    setAttribute(rect, "width", `${Math.min(100, width).toFixed(2)}%`);
  });
  const ran = story.attempts.reduce(
    (sum, attempt) => sum + (attempt.run_seconds ?? since(attempt.started_at)),
    0,
  );
  setAttribute(
    svg,
    "aria-label",
    `It ran for ${duration(ran)} of ${duration(seconds)}, and waited for the rest.`,
  );
}
