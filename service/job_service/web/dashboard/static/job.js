// The page of one job: its status, its payload and result, and all that happened to it.

import { cancel, retry, runNow } from "./actions.js";
import { Problem, clockOffset, readPage, since } from "./api.js";
import { mostAttempts, showAttempts } from "./attempts.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { editJob } from "./edit.js";
import {
  between,
  clockInZone,
  count,
  duration,
  exact,
  exactly,
  plural,
  sentence,
  withDurations,
  zoneAt,
} from "./format.js";
import { moments, showBand } from "./timeline.js";

const MOST_SHOWN = 200_000; // characters of a payload or result
const ENDED = ["completed", "failed", "cancelled", "abandoned"];
const ACTIONS = ["edit-job", "run-now", "cancel", "retry"];

let id = null;
let shown = null; // the job as text, to see whether it has changed
let job = null;

$("edit-job").addEventListener("click", () => editJob(job.id));
$("cancel").addEventListener("click", () => cancel(job));
$("run-now").addEventListener("click", () => runNow(job));
$("retry").addEventListener("click", async () => {
  const here = location.hash;
  const made = await retry(job);
  if (made && location.hash === here) location.hash = `#/jobs/${made.id}`;
});

/** Turn to the job of this id. */
export function openJob(wanted) {
  id = wanted;
  shown = job = null;
  setText($("job-title"), "Job");
  setText($("job-id"), id);
  setText($("job-empty"), "");
  for (const part of [...ACTIONS, "job-body", "job-empty"]) $(part).hidden = true;
  setText($("job-status"), "");
  setAttribute($("job-status"), "data-status", null);
}

/** Update the page. */
export async function showJob(signal) {
  try {
    if (!/^[\w-]+$/.test(id)) throw new Problem(404, "no job has such an id");
    const { text } = await readPage(`/jobs/${id}`, signal);
    if (text !== shown) show(text);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showWhyNot(error);
    return;
  }
  $("job-empty").hidden = true;
  showTimes();
}

/** Say why there is nothing new to see; what is known of the job stays, unless there is no such job. */
function showWhyNot(error) {
  $("job-empty").hidden = false;
  if (error.status !== 404) {
    setText($("job-empty"), error.message);
    return;
  }
  for (const part of [...ACTIONS, "job-body"]) $(part).hidden = true;
  shown = null;
  setText(
    $("job-empty"),
    "There is no such job: it never was, or it ended so long ago that it has been forgotten.",
  );
}

function show(text) {
  const before = job;
  shown = text;
  job = JSON.parse(text);
  $("job-body").hidden = false;
  setText($("job-title"), job.type);
  document.title = `${job.type} – Job service`;
  setText($("job-status"), job.cancel_requested ? "being interrupted" : job.status);
  setAttribute($("job-status"), "data-status", job.status);
  const ended = ENDED.includes(job.status);
  const waits = job.status === "pending";
  $("cancel").hidden = ended || job.cancel_requested === true;
  $("edit-job").hidden = !waits;
  $("run-now").hidden = !(waits && Date.parse(job.run_at) > Date.now() + clockOffset);
  $("retry").hidden = !ended;
  $("job-failure").hidden = job.error === undefined;
  setText($("job-error"), job.error ?? "");
  $("job-waits").hidden = !job.waits_because;
  setText($("job-waits"), withDurations(sentence(job.waits_because ?? "")));
  showProgress();
  $("payload").hidden = $("copy-payload").hidden = job.hidden === true;
  $("payload-hidden").hidden = job.hidden !== true;
  const hasResult = job.result !== undefined;
  $("result").hidden = $("copy-result").hidden = !hasResult;
  $("result-empty").hidden = hasResult;
  // They may be large, and stay the same once they are there, unless somebody changes the job.
  const isNew = before === null || before.edits !== job.edits;
  if (isNew || (hasResult && before.result === undefined)) {
    const written = exact(text);
    showJson($("payload"), written.payload);
    if (hasResult) showJson($("result"), written.result);
  }
  setText($("result-empty"), job.hidden ? $("payload-hidden").textContent : ended ? "None." : "Not yet.");
  showAttempts(job);
}

function showJson(element, value) {
  const text = JSON.stringify(value, null, 2);
  setText(
    element,
    text.length > MOST_SHOWN
      ? `${text.slice(0, MOST_SHOWN)}\n… and ${count(text.length - MOST_SHOWN)} characters more`
      : text,
  );
}

function showProgress() {
  const progress = job.status === "processing" ? job.progress : undefined;
  $("job-progress").hidden = progress === undefined;
  if (!progress) return;
  const { done, total, note } = progress;
  setAttribute($("job-bar"), "max", total > 0 ? total : null);
  setAttribute($("job-bar"), "value", total > 0 ? done : null);
  setText($("job-done"), total === undefined ? count(done) : `${count(done)} of ${count(total)}`);
  setText($("job-note"), note ?? "");
}

/** Update what changes with time alone: how long it takes. */
function showTimes() {
  if (job === null) return;
  const seconds = job.finished_at
    ? between(job.created_at, job.finished_at)
    : since(job.created_at);
  fill(
    $("facts"),
    facts(seconds),
    () => make("div", {}, make("dt"), make("dd")),
    (row, [name, value]) => {
      setText(row.firstElementChild, name);
      if (typeof value === "string") setText(row.lastElementChild, value);
      else if (row.lastElementChild.textContent !== value.map((link) => link.textContent).join(""))
        row.lastElementChild.replaceChildren(...value);
    },
  );
  setText($("zone"), `times in ${zoneAt(job.created_at)}`);
  showBand($("band"), job, seconds);
  fill(
    $("timeline"),
    moments(job),
    () => make("li", {}, make("time"), make("span"), make("span", { class: "quiet" })),
    (row, moment) => {
      const [time, what, after] = row.children;
      setAttribute(row, "data-status", moment.status);
      setText(time, exactly(moment.at));
      setAttribute(time, "datetime", moment.at);
      setText(what, moment.what);
      setText(after, moment.after);
    },
  );
}

function facts(seconds) {
  const ended = job.finished_at !== undefined;
  return [
    ["Created", clockInZone(job.created_at)],
    job.submitted_by && ["Submitted by", job.submitted_by],
    ended ? ["Ended", clockInZone(job.finished_at)] : ["Ended", "not yet"],
    [ended ? "Took" : "Age", duration(seconds)],
    ["Attempts", `${count(job.attempt ?? 0)} of at most ${count(mostAttempts(job))}`],
    job.run_at && ["Due", clockInZone(job.run_at)],
    job.priority !== undefined && ["Priority", count(job.priority)],
    job.snoozes && ["Came back later", plural(job.snoozes, "time")],
    job.unique_key && ["Unique key", [linkToAll("unique_key", job.unique_key)]],
    job.tags && ["Tags", job.tags.map((tag) => linkToAll("tag", tag))],
    job.limit_key && ["Limit key", job.limit_key],
    job.schedule && ["Schedule", job.schedule],
    job.edits && ["Changed", changes()],
    job.cancelled_by && ["Cancelled by", job.cancelled_by],
    job.scheduled_for && ["Scheduled for", clockInZone(job.scheduled_for)],
    job.retry_of && ["Runs again", [linkTo(job.retry_of)]],
    job.group && ["Group", [linkToAll("group", job.group)]],
    job.callback_of && ["Follows group", [linkToAll("group", job.callback_of)]],
    job.after && ["After", job.after.map(linkTo)],
  ].filter(Boolean);
}

/** How often it was changed, and when and by whom the last time, as far as that is known. */
function changes() {
  const times = plural(job.edits, "time");
  if (job.edited_at === undefined) return times;
  const by = job.edited_by ? ` by ${job.edited_by}` : "";
  return `${times}, the last time at ${clockInZone(job.edited_at)}${by}`;
}

const linkToAll = (name, value) =>
  make("a", { href: `#/?${new URLSearchParams({ [name]: value })}` }, value);

const linkTo = (job) => make("a", { href: `#/jobs/${job}`, class: "id" }, job);
