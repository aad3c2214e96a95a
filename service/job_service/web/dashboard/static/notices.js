// Unusual events, from the stream; the same again is counted in one line.

import { $, fill, make, setAttribute, setText } from "./dom.js";
import { clock, count, duration, plural } from "./format.js";

const KEPT = 40;

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
  job_misfit: (e) => `${e.job_type} can't run: ${e.error}`,
  store_failing: (e) => `The store can't keep anything: ${e.error}`,
  store_recovered: (e) => `The store keeps jobs again, after ${duration(e.failing_seconds)}`,
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

const notices = []; // the newest first
let changed = false;

/** Note an event, to show it with the next beat. */
export function note(event) {
  const kind = `${event.event} ${event.job_type ?? ""}`;
  const newest = notices[0];
  if (newest?.kind === kind) {
    if (!event.over) newest.times += 1; // a stall's end is not another stall
    newest.event = event;
  } else {
    notices.unshift({ kind, event, times: 1 });
    notices.length = Math.min(notices.length, KEPT);
  }
  changed = true;
}

/** Show the notices, if there is something new. */
export function showNotices() {
  if (!changed) return;
  changed = false;
  $("notices-empty").hidden = true;
  fill($("notices"), notices, create, (row, { event, times }) => {
    const [time, body] = row.children;
    const [text, link, often] = body.children;
    setAttribute(row, "data-level", event.level);
    setAttribute(time, "datetime", event.timestamp);
    setText(time, clock(event.timestamp));
    setText(text, event.job_id ? "" : TEXTS[event.event](event));
    setText(link, event.job_id ? TEXTS[event.event](event) : "");
    setAttribute(link, "href", event.job_id ? `#/jobs/${event.job_id}` : null);
    setText(often, times > 1 ? `${count(times)} times` : "");
  });
}

const create = () =>
  make(
    "li",
    {},
    make("time"),
    make("div", {}, make("span"), make("a"), make("span", { class: "often" })),
  );
