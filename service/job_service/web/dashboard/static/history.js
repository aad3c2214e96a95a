// What the charts show: one sample a second of the last minutes, from how the metrics grew.

const SPANS = [60, 120, 180, 240];
const WINDOW = 300; // seconds
const HOLE = 3; // seconds without a sample that leave a hole in the charts

export const samples = []; // the oldest first

/** How many seconds the charts show: few at first, so that there is something to see. */
export function shownSeconds() {
  const age = samples.length ? samples.at(-1).at - samples[0].at : 0;
  return SPANS.find((span) => span >= age) ?? WINDOW;
}

let before = null;

/** Take the metrics and the queue of this moment; gives the sample, with null for what is not known. */
export function take(metrics, queue) {
  const now = performance.now() / 1000;
  const passed = before ? metrics.uptime_seconds - before.metrics.uptime_seconds : 0;
  const continuous = passed > 0 && now - before.at < HOLE;
  const gained = (key) => metrics[key] - before.metrics[key];
  const sample = {
    at: now,
    pending: metrics.jobs_pending,
    running: metrics.jobs_in_progress,
    oldest: queue.oldest_ready_seconds ?? 0,
    created: continuous ? gained("jobs_created") / passed : null,
    completed: continuous ? gained("jobs_completed") / passed : null,
    failed: continuous ? gained("jobs_failed") / passed : null,
    retried: continuous ? gained("jobs_retried") / passed : null,
    wait: continuous ? meanWait(gained) : null,
  };
  before = { at: now, metrics };
  samples.push(sample);
  while (samples[0].at < now - WINDOW) samples.shift();
  return sample;
}

/** Whether `later` comes too long after `earlier` for a line between them. */
export const apart = (earlier, later) => later.at - earlier.at > HOLE;

/** Of the attempts that began in between; they are those that have ended and those that run more than before. */
function meanWait(gained) {
  const ended = ["jobs_completed", "jobs_failed", "jobs_retried", "jobs_snoozed"];
  const begun = ended.reduce((sum, key) => sum + gained(key), gained("jobs_in_progress"));
  return begun > 0 ? gained("wait_seconds_total") / begun : 0;
}
