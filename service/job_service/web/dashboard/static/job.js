// The page of one job: how it stands, what it was given and gave, and all that happened to it.

import { cancel, retry } from "./actions.js";
import { Problem, readPage, since } from "./api.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { between, clock, count, duration, exact, exactly, plural } from "./format.js";
import { beatNow } from "./live.js";
import { moments, showBand } from "./timeline.js";

const MOST_SHOWN = 200_000; // characters of a payload or result
const ENDED = ["completed", "failed", "cancelled", "abandoned"];

let id = null;
let told = null; // the story as text, by which it is seen that it has changed
let story = null;

$("cancel").addEventListener("click", async () => {
  if (await cancel(story)) beatNow();
});
$("retry").addEventListener("click", async () => {
  const made = await retry(story);
  if (made) location.hash = `#/jobs/${made.id}`;
});

/** Turn to the job of this id. */
export function openStory(wanted) {
  id = wanted;
  told = story = null;
  setText($("story-title"), "Job");
  setText($("story-id"), id);
  setText($("story-empty"), "");
  for (const part of ["cancel", "retry", "story-body", "story-empty"]) $(part).hidden = true;
  setText($("story-status"), "");
  setAttribute($("story-status"), "data-status", null);
}

/** Bring it up to date. */
export async function showStory(signal) {
  const asked = id;
  try {
    if (!/^[\w-]+$/.test(id)) throw new Problem(404, "no job has such an id");
    const { text } = await readPage(`/jobs/${id}`, signal);
    if (asked !== id) return;
    if (text !== told) show(text);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (asked !== id) return;
    $("story-body").hidden = $("cancel").hidden = $("retry").hidden = true;
    $("story-empty").hidden = false;
    setText(
      $("story-empty"),
      error.status === 404
        ? "There is no such job: it never was, or it ended so long ago that it has been forgotten."
        : error.message,
    );
    return;
  }
  showTimes();
}

function show(text) {
  const before = story;
  told = text;
  story = JSON.parse(text);
  $("story-body").hidden = false;
  $("story-empty").hidden = true;
  setText($("story-title"), story.type);
  document.title = `${story.type} – Job service`;
  setText($("story-status"), story.cancel_requested ? "being interrupted" : story.status);
  setAttribute($("story-status"), "data-status", story.status);
  const ended = ENDED.includes(story.status);
  $("cancel").hidden = ended || story.cancel_requested === true;
  $("retry").hidden = !ended;
  $("story-waits").hidden = !story.waits_because;
  setText($("story-waits"), sentence(story.waits_because ?? ""));
  showProgress();
  const hasResult = story.result !== undefined;
  $("result").hidden = !hasResult;
  $("result-empty").hidden = hasResult;
  // They may be large, and neither changes once it is there.
  if (before === null || (hasResult && before.result === undefined)) {
    const written = exact(text);
    showJson($("payload"), written.payload);
    if (hasResult) showJson($("result"), written.result);
  }
  setText($("result-empty"), ended ? "None." : "Not yet.");
  showAttempts();
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
  const progress = story.status === "processing" ? story.progress : undefined;
  $("story-progress").hidden = progress === undefined;
  if (!progress) return;
  const { done, total, note } = progress;
  setAttribute($("story-bar"), "max", total > 0 ? total : null);
  setAttribute($("story-bar"), "value", total > 0 ? done : null);
  setText($("story-done"), total === undefined ? count(done) : `${count(done)} of ${count(total)}`);
  setText($("story-note"), note ?? "");
}

/** What changes by itself, without the story: how long it takes. */
function showTimes() {
  if (story === null) return;
  const seconds = story.finished_at
    ? between(story.created_at, story.finished_at)
    : since(story.created_at);
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
  showBand($("band"), story, seconds);
  fill(
    $("timeline"),
    moments(story),
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
  const ended = story.finished_at !== undefined;
  return [
    ["Created", clock(story.created_at)],
    ended ? ["Ended", clock(story.finished_at)] : ["Ended", "not yet"],
    [ended ? "Took" : "Age", duration(seconds)],
    ["Attempts", `${count(story.attempt ?? 0)} of at most ${count(story.max_retries + 1 + (story.snoozes ?? 0))}`],
    story.run_at && ["Due", clock(story.run_at)],
    story.priority !== undefined && ["Priority", count(story.priority)],
    story.snoozes && ["Came back later", plural(story.snoozes, "time")],
    story.unique_key && ["Unique key", story.unique_key],
    story.schedule && ["Schedule", story.schedule],
    story.retry_of && ["Runs again", [linkTo(story.retry_of)]],
    story.after && ["After", story.after.map(linkTo)],
  ].filter(Boolean);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const linkTo = (job) => make("a", { href: `#/jobs/${job}`, class: "id" }, job);

function showAttempts() {
  $("attempts-empty").hidden = story.attempts.length > 0;
  setText(
    $("attempts-empty"),
    story.failure || story.status !== "pending" ? "None: it never ran." : "None yet.",
  );
  fill($("attempts"), story.attempts, createAttempt, (row, attempt) => {
    const [head, error, details] = row.children;
    const [title, status, where] = head.children;
    setText(title, `Attempt ${attempt.attempt}`);
    setText(status, attempt.outcome ?? "processing");
    setAttribute(status, "data-status", attempt.outcome ?? "processing");
    const ran =
      attempt.run_seconds === undefined ? "" : `, ran for ${duration(attempt.run_seconds)}`;
    setText(where, `on ${attempt.worker_id} from ${clock(attempt.started_at)}${ran}`);
    error.hidden = attempt.error === undefined;
    setText(error, attempt.error ?? "");
    details.hidden = attempt.traceback === undefined;
    setText(details.lastElementChild, attempt.traceback ?? "");
  });
}

const createAttempt = () =>
  make(
    "li",
    {},
    make(
      "div",
      { class: "line" },
      make("h3"),
      make("span", { class: "status" }),
      make("span", { class: "quiet" }),
    ),
    make("p", { class: "error" }),
    make("details", {}, make("summary", {}, "Traceback"), make("pre", { tabindex: "0" })),
  );
