// The table of jobs: filtered, page by page, the newest first. Its first page is live.

import { onActed, showSelection } from "./acting.js";
import { Problem, readPage, since } from "./api.js";
import { mostAttempts } from "./attempts.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { areHard, areSet, filtersAsText, filtersToAsk, takeFilters } from "./filters.js";
import {
  between,
  clock,
  clockInZone,
  count,
  duration,
  percent,
  withDurations,
  zoneAt,
} from "./format.js";
import { beatNow } from "./live.js";
import { showMatching } from "./matching.js";
import { isAnySelected, isSelected, onSelection, select, selectAll } from "./selection.js";

const FEWEST_ROWS = 20;
const MOST_ROWS = 50;
const ROW_HEIGHT = 38; // pixels, until there is a row to be measured
const MOST_PAGES = 5; // of the service, for one of this table
const RARELY = 5; // beats between two searches for what is hard to find

let cursors = []; // one for each page after the first, up to the one that is shown
let next = null;
let rows = FEWEST_ROWS; // as many as were asked for
let jobs = null; // those on the page; null if it must be read before anything can be shown
let stale = false; // whether the service may list other jobs by now
let pointed = false;
let beats = 0;

$("older").addEventListener("click", () => turn([...cursors, next]));
$("newer").addEventListener("click", () => turn(cursors.slice(0, -1)));
$("newest").addEventListener("click", () => turn([]));
// Rows that move away can't be read, let alone clicked.
$("jobs").addEventListener("pointerenter", (event) => point(event.pointerType === "mouse"));
$("jobs").addEventListener("pointerleave", () => point(false));
$("select-page").addEventListener("change", (event) => select(jobs, event.target.checked, jobs));
onSelection(() => jobs && show());
onActed(() => turn(cursors));

function point(now) {
  pointed = now;
  showHeld();
}

const held = () => isAnySelected() || pointed || $("jobs").contains(document.activeElement);

function showHeld() {
  const why = isAnySelected() ? "held while jobs are selected" : "held while you point at it";
  setText($("jobs-held"), cursors.length ? "" : held() ? why : "live");
}

function turn(to) {
  cursors = to;
  jobs = null;
  beatNow();
}

/** Show the jobs that an address asks for. */
export function filterJobs(query) {
  const before = filtersAsText();
  takeFilters(query);
  if (filtersAsText() !== before) {
    cursors = [];
    selectAll(false);
  }
  jobs = null;
}

/** Let the list be seen, if all of it or most is out of sight when it is asked for elsewhere. */
export function revealJobs() {
  const { top } = $("jobs-panel").getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) $("jobs-panel").scrollIntoView();
}

/** Update the table, but neither while somebody points at it or uses it, nor on an older page. */
export async function showJobs(signal, changed) {
  stale ||= changed;
  showHeld();
  const rarely = ++beats % RARELY === 0;
  if (rarely && jobs?.some(({ status }) => status === "pending")) stale = true; // it waits for time
  const due = stale && cursors.length === 0 && !held() && (rarely || !areHard());
  if (jobs === null || due) await load(signal);
  else show();
}

async function load(signal) {
  rows = rowsThatFit();
  let found = { jobs: [], next: null, why: null };
  try {
    found = await readJobs(signal);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 400) throw error;
    found.why = error.message; // the address has a filter that can't be
  }
  stale = false;
  ({ jobs, next } = found);
  show();
  const words = found.why ?? comment();
  $("jobs-empty").hidden = words === "";
  setText($("jobs-empty"), words);
  setText($("page"), cursors.length ? `Page ${count(cursors.length + 1)}` : "");
  $("older").disabled = next === null;
  $("newer").disabled = $("newest").disabled = cursors.length === 0;
}

function show() {
  fill($("jobs"), jobs, createRow, updateRow);
  setText($("jobs-zone"), zoneAt(new Date()));
  showHeld();
  showMatching(cursors.length === 0 && next === null ? jobs.length : null);
  const selected = jobs.filter(({ id }) => isSelected(id)).length;
  const areAll = jobs.length > 0 && selected === jobs.length;
  $("select-page").disabled = jobs.length === 0;
  $("select-page").checked = areAll;
  $("select-page").indeterminate = selected > 0 && !areAll;
  showSelection({ isSelected: areAll, isAll: next === null && cursors.length === 0 });
}

/** How many rows reach as far down as what is beside the table. */
function rowsThatFit() {
  const panel = $("jobs-panel").getBoundingClientRect();
  const side = $("side").getBoundingClientRect();
  if (side.top >= panel.bottom) return FEWEST_ROWS; // it is below
  const height = side.bottom - panel.top;
  const around = panel.height - $("jobs").getBoundingClientRect().height;
  const row = $("jobs").firstElementChild?.getBoundingClientRect().height ?? ROW_HEIGHT;
  return Math.max(FEWEST_ROWS, Math.min(MOST_ROWS, Math.floor((height - around) / row)));
}

/** As many jobs as the table has rows, though the pages of the service may be short. */
async function readJobs(signal) {
  const found = { jobs: [], next: cursors.at(-1) ?? null, why: null };
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const query = filtersToAsk();
    query.set("order", "newest");
    query.set("include", "excerpts");
    query.set("limit", rows - found.jobs.length);
    if (found.next) query.set("cursor", found.next);
    const page = await readPage(`/jobs?${query}`, signal);
    found.jobs.push(...JSON.parse(page.text));
    found.next = page.next && new URLSearchParams(page.next.split("?")[1]).get("cursor");
    if (found.next === null || found.jobs.length === rows) break;
  }
  return found;
}

/** What is to be said below a table that is not full. */
function comment() {
  if (jobs.length === rows) return "";
  if (next !== null)
    return `Looked at the jobs back to ${clock(momentOf(next))}. “Older” looks further.`;
  if (jobs.length > 0) return "";
  if (cursors.length) return "No older jobs.";
  if (areSet()) return "No job matches these filters now.";
  return "No jobs yet. Submit one with POST /jobs, and it is here within a second.";
}

/** When the job of this id was created: its first digits are milliseconds (RFC 9562). */
const momentOf = (id) => new Date(parseInt(id.replaceAll("-", "").slice(0, 12), 16)).toISOString();

function createRow() {
  return make(
    "tr",
    {},
    make("td", { class: "choice", "data-needs": "operate" }, make("input", { type: "checkbox" })),
    make("td", {}, make("span", { class: "status" })),
    make("td", { class: "type" }),
    make("td", { class: "id" }, make("a", {}, "…", make("span", { class: "wide" }), make("span"))),
    make("td", { class: "payload wide" }),
    make(
      "td",
      { class: "detail" },
      make("progress", { "aria-label": "Progress" }),
      make("span"),
    ),
    make("td", { class: "number" }, make("time")),
    make("td", { class: "number wide" }),
  );
}

function updateRow(row, job) {
  const [choice, status, type, id, payload, detail, created, took] = row.children;
  const box = choice.firstElementChild;
  box.checked = isSelected(job.id);
  setAttribute(box, "aria-label", `Select ${job.type} ${job.id.slice(-12)}`);
  box.onchange = () => select([job], box.checked, jobs);
  setText(status.firstElementChild, job.status);
  setAttribute(status.firstElementChild, "data-status", job.status);
  setText(type, job.type);
  setAttribute(type, "title", [job.type, ...(job.tags ?? [])].join(", "));
  const link = id.firstElementChild;
  setText(link.firstElementChild, job.id.slice(-12, -6)); // ids of about the same time begin alike
  setText(link.lastElementChild, job.id.slice(-6));
  setAttribute(link, "title", job.id);
  setAttribute(link, "href", `#/jobs/${job.id}`);
  const excerpt = job.payload_excerpt === "null" ? "" : (job.payload_excerpt ?? "");
  setText(payload, excerpt);
  setAttribute(payload, "title", excerpt);
  const [bar, text] = detail.children;
  const known = job.status === "processing" && job.progress?.total > 0;
  bar.hidden = !known;
  if (known) {
    setAttribute(bar, "max", job.progress.total);
    setAttribute(bar, "value", job.progress.done);
  }
  setText(text, remark(job));
  setAttribute(text, "title", remark(job));
  setText(created.firstElementChild, clock(job.created_at));
  setAttribute(created.firstElementChild, "datetime", job.created_at);
  setAttribute(created.firstElementChild, "title", clockInZone(job.created_at));
  setText(took, age(job));
}

/** How long it took, or has taken so far; nothing for a job that waits. */
function age(job) {
  if (job.finished_at) return duration(between(job.created_at, job.finished_at));
  return job.status === "pending" ? "" : duration(since(job.created_at));
}

/** The one thing that is worth saying about a job. */
function remark(job) {
  if (job.cancel_requested) return "being interrupted";
  if (job.status === "processing" && job.progress) {
    const { done, total, note } = job.progress;
    const far = total > 0 ? percent(done / total) : count(done);
    return note ? `${far}, ${note}` : far;
  }
  if (job.waits_because) return withDurations(job.waits_because);
  if (job.error) return job.error;
  if (job.attempt > 1) return `attempt ${count(job.attempt)} of ${count(mostAttempts(job))}`;
  return "";
}
