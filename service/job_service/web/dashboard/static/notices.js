// What happened out of the ordinary, as the service remembers it, whoever looked meanwhile.

import { read } from "./api.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { clock, count, duration, plural, zoneAt } from "./format.js";

const who = (event) => (event.by ? ` by ${event.by}` : "");

const TEXTS = {
  service_draining: (e) =>
    `${e.reason}: draining, with ${plural(e.jobs_pending, "job")} pending and ${count(e.jobs_in_progress)} in progress`,
  worker_stopped: (e) => `${e.worker_id} stopped: ${e.reason}`,
  job_failed: (e) => `${e.job_type} failed: ${e.error}`,
  job_abandoned: (e) => `${e.job_type} abandoned: ${e.reason}`,
  job_rescued: (e) => `${e.job_type} rescued: its process died in attempt ${e.attempt}`,
  job_released: (e) => `${e.job_type} released: ${e.reason}`,
  job_lost: (e) => `${e.job_type} lost to another process`,
  hook_failed: (e) => `${e.hook} failed after ${e.job_type}: ${e.error}`,
  thread_abandoned: (e) => `A thread of ${e.job_type} was let go, and still runs`,
  job_misfit: (e) => `${e.job_type} can't run: ${e.error}`,
  rows_unreadable: (e) => `${plural(e.rows, "row")} of ${e.table} can't be read: ${e.error}`,
  store_failing: (e) => `The store can't keep anything: ${e.error}`,
  store_recovered: (e) => `The store keeps jobs again, after ${duration(e.failing_seconds)}`,
  group_failed: (e) => `A group failed: ${count(e.jobs_failed)} of ${plural(e.jobs, "job")} did`,
  schedule_paused: (e) => `The schedule ${e.schedule} was paused${who(e)}`,
  schedule_resumed: (e) => `The schedule ${e.schedule} was resumed${who(e)}`,
  schedule_skipped: (e) => `${e.schedule} skipped a tick: ${e.reason}`,
  queue_full: (e) =>
    `The queue is full with ${plural(e.queue_capacity, "job")}: more are rejected`,
  queue_freed: (e) =>
    `The queue has room again, after ${duration(e.full_seconds)}; ${plural(e.jobs_rejected, "job")} rejected`,
  queue_paused: (e) => `${e.job_type ?? "The queue"} was paused${who(e)}`,
  queue_resumed: (e) => `${e.job_type ?? "The queue"} was resumed${who(e)}`,
  store_backed_up: (e) => `All jobs were copied to ${e.path}${who(e)}`,
  loop_stalled: (e) =>
    `The event loop ${e.over ? "was stalled" : "is stalled"} for ${duration(e.stalled_seconds)}${e.job_type ? ` by ${e.job_type}` : ""}, at ${e.where}`,
  connection_failed: (e) => `A connection failed: ${e.error}`,
  request_failed: (e) => `${e.method} ${e.path} failed: ${e.error}`,
  log_lines_dropped: (e) => `${plural(e.lines, "log line")} dropped`,
  certificate_reload_failed: (e) => `The certificate could not be reloaded: ${e.error}`,
  token_reload_failed: (e) => `The tokens could not be reloaded: ${e.error}`,
  log_reopen_failed: (e) => `The log could not be reopened: ${e.error}`,
  observer_detached: (e) => `An observer of events failed: ${e.error}`,
};

/** The events that are worth a notice. How many jobs come and go is in the metrics. */
export const NOTED = Object.keys(TEXTS);

let changed = true;

/** There is something new to read with the next beat. */
export function expectNotices() {
  changed = true;
}

/** Read the notices and show them, if there is something new. */
export async function showNotices(signal) {
  if (!changed) return;
  changed = false;
  const notices = await read("/notices", signal).catch((error) => {
    changed = true;
    throw error;
  });
  setText($("notices-zone"), notices.length > 0 ? `times in ${zoneAt(new Date())}` : "");
  $("notices-empty").hidden = notices.length > 0;
  fill($("notices"), notices, create, (row, { event, first_at: first, times }) => {
    const [time, body] = row.children;
    const [text, link, often] = body.children;
    const words = TEXTS[event.event]?.(event) ?? event.event;
    setAttribute(row, "data-level", event.level);
    setAttribute(time, "datetime", event.timestamp);
    setText(time, clock(event.timestamp));
    const address = addressOf(event);
    setText(text, address ? "" : words);
    setText(link, address ? words : "");
    setAttribute(link, "href", address);
    setText(often, times > 1 ? `${count(times)} times since ${clock(first)}` : "");
  });
}

const create = () =>
  make(
    "li",
    {},
    make("time"),
    make("div", {}, make("span"), make("a"), make("span", { class: "often" })),
  );

/** Where to look at what it tells of, or null. */
function addressOf({ job_id, group_id }) {
  if (job_id) return `#/jobs/${job_id}`;
  return group_id ? `#/?group=${group_id}` : null;
}
