// What is wrong at this moment, the worst first. If all is well there is nothing to see.

import { $, fill, make, setAttribute, setText } from "./dom.js";
import { addressOfJobs } from "./filters.js";
import { count, duration, percent, plural } from "./format.js";
import { lastMinute } from "./history.js";

const FEW = 5; // attempts, of which no share says anything
const FAILING = 0.1;
const MOSTLY = 0.5;
const PATIENCE = 5; // seconds that a ready job may wait beside a worker without work

/** Show what is wrong, as an overview tells it. */
export function showTroubles({ metrics, queue, types, workers }) {
  const found = [
    ...turnedAway(queue),
    ...failing(),
    ...stalled(),
    ...storeFailing(),
    ...idle(queue, workers, types),
    ...letGo(metrics),
  ].sort((one, other) => other.bad - one.bad);
  $("troubles-panel").hidden = found.length === 0;
  fill($("troubles"), found, create, (row, trouble) => {
    const [what, more, link] = row.children;
    setAttribute(row, "data-level", trouble.bad ? "error" : "warning");
    setText(what, trouble.what);
    setText(more, trouble.more);
    setText(link, trouble.jobs ? "Show the jobs" : "");
    setAttribute(link, "href", trouble.jobs ? addressOfJobs(trouble.jobs) : null);
  });
}

const create = () => make("li", {}, make("b"), make("span"), make("a"));

const times = (number) => (number === 1 ? "once" : `${count(number)} times`);

function turnedAway(queue) {
  const { rejected } = lastMinute();
  if (rejected === 0) return [];
  const full = queue.pending >= queue.capacity ? "The queue is full." : "";
  return [{ bad: true, what: `${plural(rejected, "submission")} turned away`, more: `in the last minute. ${full}`, jobs: { status: "pending" } }];
}

function failing() {
  const { completed, failed, retried } = lastMinute();
  const ended = completed + failed + retried;
  const share = (failed + retried) / ended;
  if (ended < FEW || share < FAILING) return [];
  return [
    {
      bad: share >= MOSTLY,
      what: `${percent(share)} of attempts fail`,
      more: `${count(failed + retried)} of ${count(ended)} in the last minute`,
      jobs: { status: failed > 0 ? "failed" : "pending" }, // those that are retried wait
    },
  ];
}

function stalled() {
  const { stalls } = lastMinute();
  if (stalls === 0) return [];
  return [{ bad: false, what: "The event loop stalled", more: `${times(stalls)} in the last minute` }];
}

function storeFailing() {
  const { errors } = lastMinute();
  if (errors === 0) return [];
  return [{ bad: true, what: "The store failed", more: `${times(errors)} in the last minute` }];
}

const isFree = (type) => type.runs_in !== undefined && !type.paused && !type.is_limited;

/** A worker without work while a job waits that no pause, no limit and no missing handler holds back. */
function idle(queue, workers, types) {
  const without = workers.filter((worker) => worker.state === "idle").length;
  if (queue.paused || without === 0) return [];
  const free = new Set(types.filter(isFree).map(({ type }) => type));
  const waiting = queue.types.filter(
    (each) => free.has(each.type) && each.ready > 0 && each.oldest_ready_seconds > PATIENCE,
  );
  if (waiting.length === 0) return [];
  const oldest = Math.max(...waiting.map((each) => each.oldest_ready_seconds));
  return [
    {
      bad: true,
      what: `${plural(without, "worker")} without work`,
      more: `while ${waiting.map((each) => each.type).join(", ")} is ready, for ${duration(oldest)}`,
      jobs: [["status", "pending"], ...waiting.map((each) => ["type", each.type])],
    },
  ];
}

function letGo({ threads_abandoned: threads }) {
  if (threads === 0) return [];
  return [{ bad: false, what: `${plural(threads, "thread")} let go`, more: "and not yet back" }];
}
