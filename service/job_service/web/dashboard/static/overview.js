// The state of the service at a glance: its counters, its queue, its workers and its job types.

import { pause, resume } from "./actions.js";
import { read, since } from "./api.js";
import { chart } from "./charts.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { clock, count, duration, percent, rate } from "./format.js";
import { lastSecond } from "./history.js";
import { beatNow } from "./live.js";
import { showSchedules } from "./schedules.js";

const RARELY = 5; // beats between two readings of what seldom changes
const SOON = 1; // seconds for which it is not worth a word that a job is ready

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

/** Show what each worker does, and since when. */
export function showWorkers(workers) {
  fill($("workers"), workers, createWorker, (row, worker) => {
    const [name, what, link, when] = row.children;
    setAttribute(row, "data-state", worker.state);
    setText(name, worker.worker_id);
    setText(what, worker.state === "idle" ? "idle" : "");
    setText(link, worker.job_type ?? "");
    setAttribute(link, "href", worker.job_id ? `#/jobs/${worker.job_id}` : null);
    setText(when, duration(since(worker.since)));
  });
}

const createWorker = () =>
  make(
    "li",
    {},
    make("span", { class: "name" }),
    make("span", { class: "quiet" }),
    make("a"),
    make("span", { class: "number quiet" }),
  );

let beats = 0;

/** Every few beats, show schedules and processes. */
export async function showRest(signal) {
  if (beats++ % RARELY) return;
  const [schedules, nodes] = await Promise.all([
    read("/schedules", signal),
    read("/nodes", signal),
  ]);
  showSchedules(schedules);
  showNodes(nodes);
}

/** Show the job types, with what of them waits and runs at this moment. */
export function showTypes(types, queue) {
  const unfinished = new Map(queue.types.map((each) => [each.type, each]));
  const known = new Set(types.map(({ type }) => type));
  const unknown = queue.types.filter(({ type }) => !known.has(type)); // of other programs
  fill($("types"), [...types, ...unknown], createType, (row, type) => {
    const [head, pending, running, failed, action] = row.children;
    const [name, latency, terms] = head.children;
    const isKnown = known.has(type.type);
    setText(name, type.type);
    setText(latency, isKnown ? latencyOf(unfinished.get(type.type) ?? {}) : "no handler here");
    setText(terms, limitsOf(type));
    const how = isKnown ? `runs in the ${type.runs_in}` : "no handler here";
    setAttribute(head, "title", [`${type.type}: ${how}`, limitsOf(type)].filter(Boolean).join(", "));
    setText(pending, count(type.pending));
    setText(
      running,
      type.concurrency && !type.per_key
        ? `${count(type.processing)} of ${type.concurrency}`
        : count(type.processing),
    );
    setText(failed, isKnown ? count(type.failed) : "–");
    const button = action.firstElementChild;
    button.hidden = !isKnown;
    setText(button, type.paused ? "Resume" : "Pause");
    setAttribute(button, "aria-label", `${type.paused ? "Resume" : "Pause"} ${type.type}`);
    button.onclick = async () => {
      if (!(await (type.paused ? resume : pause)(type.type))) return;
      beatNow();
    };
  });
}

/** How long the oldest ready job of a type waits, and all of them will, if that is worth a word. */
function latencyOf({ ready, oldest_ready_seconds: oldest = 0, seconds_to_empty: empty }) {
  if (!ready || oldest < SOON) return "";
  const left = empty === undefined ? "none starts" : `${duration(empty)} to go`;
  return `oldest ${duration(oldest)}, ${left}`;
}

/** The processes that share the store, if it can be shared. */
function showNodes(nodes) {
  $("nodes-panel").hidden = nodes.length === 0;
  fill($("nodes"), nodes, createNode, (row, node) => {
    const [name, running, waiting, lease] = row.children;
    setText(name, `${node.host} ${node.pid}${node.is_asked ? " (this one)" : ""}`);
    const since = `version ${node.version}, since ${clock(node.started_at)}`;
    setAttribute(name, "title", `node ${node.node}: ${since}: ${node.job_types.join(", ")}`);
    setText(running, count(node.processing));
    setText(waiting, count(node.waiting));
    setText(lease, node.lease_seconds > 0 ? duration(node.lease_seconds) : "over");
    lease.classList.toggle("bad", node.lease_seconds <= 0);
  });
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
    make("th", { scope: "row" }, make("span"), make("small"), make("small")),
    ...[1, 2, 3].map(() => make("td", { class: "number" })),
    make("td", { class: "number" }, make("button", { type: "button", "data-needs": "operate", class: "small" })),
  );

const createNode = () =>
  make(
    "tr",
    {},
    make("th", { scope: "row" }),
    ...[1, 2, 3].map(() => make("td", { class: "number" })),
  );
