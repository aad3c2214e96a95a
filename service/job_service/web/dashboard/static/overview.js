// The numbers of the service at a glance: its counters, its charts, its queue.

import { chart } from "./charts.js";
import { $, make, setAttribute, setText } from "./dom.js";
import { count, duration, percent, rate } from "./format.js";
import { lastSecond } from "./history.js";

const FIGURES = [
  ["jobs_created", "Created", "created"],
  ["jobs_completed", "Completed", "completed"],
  ["jobs_failed", "Failed", "failed"],
  ["jobs_retried", "Retried", "retried"],
  ["jobs_in_progress", "In progress", "running"],
];
const REST = [
  ["jobs_cancelled", "Cancelled"],
  ["jobs_abandoned", "Abandoned"],
  ["jobs_rejected", "Rejected"],
  ["jobs_snoozed", "Snoozed"],
  ["jobs_deduplicated", "Deduplicated"],
  ["jobs_claimed", "Claimed"],
  ["jobs_released", "Released"],
  ["store_errors", "Store errors"],
  ["ticks_skipped", "Ticks skipped"],
  ["connections_refused", "Connections refused"],
  ["log_lines_dropped", "Log lines dropped"],
];

const perSecond = (number) => `${rate(number)}/s`;
const charts = [
  {
    title: "Jobs per second",
    series: [
      { key: "completed", label: "Completed" },
      { key: "failed", label: "Failed" },
      { key: "retried", label: "Retried" },
    ],
    write: perSecond,
    least: 1,
  },
  {
    title: "Pending and in progress",
    series: [
      { key: "pending", label: "Pending" },
      { key: "running", label: "In progress" },
    ],
    write: (number) => count(Math.round(number)),
    least: 10,
  },
  {
    title: "Wait for a worker",
    series: [
      { key: "oldest", label: "Oldest" },
      { key: "wait", label: "Mean" },
    ],
    write: duration,
    least: 0.01,
  },
].map((terms) => chart($("charts"), terms));

for (const [key, label, colour] of FIGURES) {
  const sub = key === "jobs_in_progress" ? "now" : "";
  $("figures").append(
    make(
      "div",
      {},
      make("dt", {}, make("i", { class: `key ${colour}` }), label),
      make("dd", {}, make("b", { id: key }, "–"), make("small", { id: `${key}-rate` }, sub)),
    ),
  );
}
for (const [key, label] of REST) {
  $("rest").append(make("div", {}, make("dt", {}, label), make("dd", { id: key }, "–")));
}
for (const [key, label] of [
  ["mean-wait", "Mean wait"],
  ["mean-run", "Mean run"],
]) {
  $("rest").append(make("div", {}, make("dt", {}, label), make("dd", { id: key }, "–")));
}

/** Show the counters and the queue. */
export function showMetrics(metrics, queue) {
  const last = lastSecond();
  for (const [key, , colour] of FIGURES) {
    setText($(key), count(metrics[key]));
    if (key !== "jobs_in_progress")
      setText($(`${key}-rate`), last ? perSecond(last[colour]) : "");
  }
  for (const [key] of REST) setText($(key), count(metrics[key]));
  setText($("mean-wait"), mean(metrics.wait_seconds_total, metrics));
  setText($("mean-run"), mean(metrics.run_seconds_total, metrics));

  setText($("pending"), count(queue.pending));
  setText($("pending-why"), whatFor(queue));
  setText(
    $("oldest"),
    queue.oldest_ready_seconds === undefined ? "–" : duration(queue.oldest_ready_seconds),
  );
  const share = queue.pending / queue.capacity;
  setText($("fill-text"), `${percent(share)} of ${count(queue.capacity)}`);
  setAttribute($("fill"), "value", Math.min(1, share));
  setText(
    $("busy-text"),
    `${count(metrics.jobs_in_progress)} of ${count(metrics.workers_running)}`,
  );
  setAttribute($("busy"), "max", Math.max(1, metrics.workers_running));
  setAttribute($("busy"), "value", metrics.jobs_in_progress);
  setText($("stalls"), count(metrics.loop_stalls));
  $("stalls").classList.toggle("bad", metrics.loop_stalls > 0);
  redrawCharts();
}

/** Draw all charts anew. */
export function redrawCharts() {
  charts.forEach((redraw) => redraw());
}

/** What the pending jobs wait for, in a sentence; that this program can't run some is rare. */
function whatFor(queue) {
  const unfit = queue.unfit > 0 ? `, ${count(queue.unfit)} without a handler that fits` : "";
  return `${count(queue.ready)} ready, ${count(queue.later)} later, ${count(queue.blocked)} blocked${unfit}`;
}

function mean(seconds, metrics) {
  const attempts =
    metrics.jobs_completed + metrics.jobs_failed + metrics.jobs_retried + metrics.jobs_snoozed;
  return attempts > 0 ? duration(seconds / attempts) : "–";
}
