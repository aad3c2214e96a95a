// What the charts show: the last minutes by the second, or the last hour, as the service remembers it.

import { read, since } from "./api.js";

const SECONDS = { span: 300, step: 1 };
const HOUR = { span: 3600, step: 20 };
const SPANS = [60, 120, 180, 240];

let seconds = null; // {endedAt, samples}, the last minutes
let hour = null; // the same of the last hour, while that is shown
let range = SECONDS;
let present = null; // what is so now, which is not over yet

/** The samples to draw, the oldest first; the last one is of this moment. */
export function samples() {
  const steps = range === HOUR && hour?.samples.length ? hour : seconds;
  const known = steps?.samples ?? [];
  return known.length && present ? [...known, { ...known.at(-1), ...present }] : known;
}

/** The last second that is over, if there is one. */
export const lastSecond = () => seconds?.samples.at(-1);

/** What happened in the last minute: how much each counter grew. */
export function lastMinute() {
  const sums = { started: 0, completed: 0, failed: 0, retried: 0, rejected: 0, stalls: 0, errors: 0 };
  for (const sample of seconds?.samples.slice(-60) ?? [])
    for (const key in sums) sums[key] += sample[key];
  return sums;
}

/** How many seconds the charts show: few at first, so that there is something to see. */
export function shownSeconds() {
  const all = samples();
  const age = all.length ? all.at(-1).at - all[0].at : 0;
  if (range === HOUR) return HOUR.span;
  return SPANS.find((span) => span >= age) ?? SECONDS.span;
}

/** Show the last hour, or only the last minutes. */
export function showHour(wanted) {
  range = wanted ? HOUR : SECONDS;
}

/** The service may be another one by now: read all of it anew. */
export function forgetHistory() {
  seconds = hour = null;
}

/** Read what has happened since the last reading. */
export async function readHistory(signal) {
  if (range !== HOUR) hour = null;
  else if (hour === null || since(hour.endedAt) > HOUR.step) hour = await whole(HOUR, signal);
  const missing = seconds === null ? SECONDS.span : Math.ceil(since(seconds.endedAt)) + 2;
  if (missing >= SECONDS.span) {
    seconds = await whole(SECONDS, signal);
    return;
  }
  const told = await read(`/history?seconds=${missing}&step=1`, signal);
  const later = Math.round((Date.parse(told.ended_at) - Date.parse(seconds.endedAt)) / 1000);
  if (later < 0 || later > told.jobs_created.length) {
    seconds = null; // a clock was set
    return;
  }
  const last = seconds.samples.at(-1)?.at ?? moment(told.ended_at) - later;
  const news = asSamples(told, last + later).slice(told.jobs_created.length - later);
  seconds = { endedAt: told.ended_at, samples: [...seconds.samples, ...news].slice(-SECONDS.span) };
}

/** Note the gauges of this moment. */
export function notePresent(metrics) {
  present = {
    at: performance.now() / 1000,
    pending: metrics.jobs_pending,
    running: metrics.jobs_in_progress,
    oldest: metrics.jobs_oldest_ready_seconds,
  };
}

async function whole({ span, step }, signal) {
  const told = await read(`/history?seconds=${span}&step=${step}`, signal);
  return { endedAt: told.ended_at, samples: asSamples(told, moment(told.ended_at)) };
}

/** A moment of the service's clock, on that of `performance`. */
const moment = (iso) => performance.now() / 1000 - since(iso);

/** One sample for each step; the last one ended `at`. */
function asSamples(told, at) {
  const { step_seconds: step, jobs_created: created } = told;
  return created.map((_, index) => ({
    at: at - (created.length - 1 - index) * step,
    created: created[index] / step,
    started: told.jobs_started[index] / step,
    completed: told.jobs_completed[index] / step,
    failed: told.jobs_failed[index] / step,
    retried: told.jobs_retried[index] / step,
    rejected: told.jobs_rejected[index] / step,
    pending: told.jobs_pending[index],
    running: told.jobs_in_progress[index],
    oldest: told.jobs_oldest_ready_seconds[index],
    wait: told.wait_seconds_total[index] / Math.max(1, told.jobs_started[index]),
    stalls: told.loop_stalls[index],
    errors: told.store_errors[index],
  }));
}
