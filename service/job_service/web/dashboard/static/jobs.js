// The table of jobs: filtered, page by page, the newest first. Its first page is live.

import { Problem, readPage, since } from "./api.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { between, clock, count, duration, percent } from "./format.js";
import { beatNow } from "./live.js";

const ROWS = 20;

let filters = { status: "", type: "" };
let cursors = []; // one for each page after the first, up to the one that is shown
let next = null;
let jobs = null; // those on the page; null if it must be read before anything can be shown
let stale = false; // whether the service may list other jobs by now
let pointed = false;

for (const name of ["status", "type"]) {
  $(`filter-${name}`).addEventListener("change", (event) =>
    go({ ...filters, [name]: event.target.value }),
  );
}
$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = $("find-id").value.trim();
  if (id) location.hash = `#/jobs/${id}`;
});
$("older").addEventListener("click", () => turn([...cursors, next]));
$("newer").addEventListener("click", () => turn(cursors.slice(0, -1)));
$("newest").addEventListener("click", () => turn([]));
// Rows that move away can't be read, let alone clicked.
$("jobs").addEventListener("pointerenter", (event) => point(event.pointerType === "mouse"));
$("jobs").addEventListener("pointerleave", () => point(false));

function point(now) {
  pointed = now;
  showHeld();
}

const held = () => pointed || $("jobs").contains(document.activeElement);

function showHeld() {
  setText($("jobs-held"), cursors.length ? "" : held() ? "held while you point at it" : "live");
}

/** Go to the address of these filters, so that links and the back button lead to them. */
function go(wanted) {
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  location.hash = query.size ? `#/?${query}` : "#/";
}

function turn(to) {
  cursors = to;
  jobs = null;
  beatNow();
}

/** Show the jobs that an address asks for. */
export function filterJobs(query) {
  const wanted = { status: query.get("status") ?? "", type: query.get("type") ?? "" };
  if (wanted.status !== filters.status || wanted.type !== filters.type) {
    filters = wanted;
    cursors = [];
  }
  offerType(filters.type);
  $("filter-status").value = filters.status;
  $("filter-type").value = filters.type;
  jobs = null;
}

/** Offer these types to filter by. */
export function offerTypes(types) {
  types.forEach(({ type }) => offerType(type));
}

function offerType(type) {
  const select = $("filter-type");
  if (![...select.options].some(({ value }) => value === type))
    select.append(make("option", {}, type));
}

/** Update the table, but neither while somebody points at it or uses it, nor on an older page. */
export async function showJobs(signal, changed) {
  stale ||= changed;
  showHeld();
  if (jobs === null || (stale && cursors.length === 0 && !held())) await load(signal);
  else fill($("jobs"), jobs, createRow, updateRow);
}

async function load(signal) {
  const query = new URLSearchParams({ order: "newest", limit: ROWS });
  if (filters.status) query.set("status", filters.status);
  if (filters.type) query.set("type", filters.type);
  if (cursors.length) query.set("cursor", cursors.at(-1));
  stale = false;
  const asked = [filters, cursors];
  let page;
  try {
    page = await readPage(`/jobs?${query}`, signal);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    page = { text: "[]", next: null }; // the address has a filter that does not exist
  }
  if (asked[0] !== filters || asked[1] !== cursors) return; // somebody chose another page meanwhile
  next = page.next && new URLSearchParams(page.next.split("?")[1]).get("cursor");
  jobs = JSON.parse(page.text);
  fill($("jobs"), jobs, createRow, updateRow);
  $("jobs-empty").hidden = jobs.length > 0;
  if (jobs.length === 0) setText($("jobs-empty"), nothing());
  setText($("page"), cursors.length ? `Page ${count(cursors.length + 1)}` : "");
  $("older").disabled = next === null;
  $("newer").disabled = $("newest").disabled = cursors.length === 0;
}

function nothing() {
  if (cursors.length) return "No older jobs.";
  if (filters.status || filters.type) return "No job matches these filters now.";
  return "No jobs yet. Submit one with POST /jobs, and it is here within a second.";
}

function createRow() {
  return make(
    "tr",
    {},
    make("td", {}, make("span", { class: "status" })),
    make("td", { class: "type" }),
    make("td", { class: "id" }, make("a", {}, "…", make("span", { class: "wide" }), make("span"))),
    make(
      "td",
      { class: "detail wide" },
      make("progress", { "aria-label": "Progress" }),
      make("span"),
    ),
    make("td", { class: "number" }, make("time")),
    make("td", { class: "number wide" }),
  );
}

function updateRow(row, job) {
  const [status, type, id, detail, created, took] = row.children;
  setText(status.firstElementChild, job.status);
  setAttribute(status.firstElementChild, "data-status", job.status);
  setText(type, job.type);
  setAttribute(type, "title", job.type);
  const link = id.firstElementChild;
  setText(link.firstElementChild, job.id.slice(-12, -6)); // ids of about the same time begin alike
  setText(link.lastElementChild, job.id.slice(-6));
  setAttribute(link, "title", job.id);
  setAttribute(link, "href", `#/jobs/${job.id}`);
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
  if (job.error) return job.error;
  if (job.run_at) return `due at ${clock(job.run_at)}`;
  if (job.after) {
    const others = job.after_count ?? job.after.length;
    return `after ${count(others)} other${others === 1 ? "" : "s"}`;
  }
  if (job.attempt > 1)
    return `attempt ${job.attempt} of ${job.max_retries + 1 + (job.snoozes ?? 0)}`;
  return "";
}
