// The page as a whole: its address says what it shows, and its connection keeps it up to date.

import { pause, resume } from "./actions.js";
import { Problem, read } from "./api.js";
import { showCaller } from "./caller.js";
import { $, setAttribute, setText } from "./dom.js";
import { countJobs, offerTypes } from "./filters.js";
import { clock, count, duration } from "./format.js";
import { showGroup } from "./groups.js";
import { forgetHistory, notePresent, readHistory, showHour } from "./history.js";
import { openJob, showJob } from "./job.js";
import { filterJobs, revealJobs, showJobs } from "./jobs.js";
import { beatNow, connect } from "./live.js";
import { NOTED, expectNotices, showNotices } from "./notices.js";
import { redrawCharts, showMetrics } from "./overview.js";
import { showSchedules } from "./schedules.js";
import { showTroubles } from "./troubles.js";
import { showTypes } from "./types.js";
import { showNodes, showWorkers } from "./workers.js";

const STATES = {
  connecting: "Connecting",
  live: "Live",
  lost: "Reconnecting",
};

const RARELY = 5; // beats between two readings of what seldom changes
const STORE_UNAVAILABLE = "/problems/store-unavailable";

let view = null; // "overview" or "job"
let beats = 0;
let counted = null; // the metrics that were last shown; if they are the same, so are jobs and workers
let paused = false;
let ready = false; // whether the service took jobs when it was last asked
let seenAt = null; // when the service last told how it is
let overviewAddress = "#/";
let overviewScroll = 0; // how far down it was left

function route() {
  const address = location.hash || "#/";
  if (!address.startsWith("#/")) return;
  const before = view;
  const [path, query] = address.slice(2).split("?");
  const isSame = address === overviewAddress;
  if (path.startsWith("jobs/")) {
    if (before === "overview") overviewScroll = scrollY;
    view = "job";
    openJob(path.slice(5));
  } else {
    view = "overview";
    overviewAddress = address;
    filterJobs(new URLSearchParams(query));
  }
  beatNow();
  $("overview").hidden = view !== "overview";
  $("job").hidden = view !== "job";
  $("back").setAttribute("href", overviewAddress);
  document.title = "Job service";
  if (before === null) return;
  if (before !== view || view === "job") {
    scrollTo(0, view === "overview" && isSame ? overviewScroll : 0);
    $(view)
      .querySelector("h1")
      .focus({ preventScroll: true });
  }
  if (view === "overview" && !isSame) revealJobs();
}

function setState(state, reason) {
  $("connection").dataset.state = state;
  setText($("connection"), STATES[state]);
  // While nobody answers, that is the one thing known: all else is hidden until it is known again.
  const lost = state === "lost";
  document.body.toggleAttribute("data-lost", lost || (state === "connecting" && !$("lost").hidden));
  if (state === "live") return;
  if (lost) $("lost").hidden = false;
  const asOf = seenAt ? ` All that you see is of that time, ${clock(seenAt)}.` : "";
  const since = seenAt ? ` since ${clock(seenAt)}` : "";
  setText(
    $("lost"),
    `${reason ? `The service says: ${reason}.` : `The service has not answered${since}.`}${asOf}`,
  );
}

async function onBeat(signal, asked) {
  if (counted === null) await showCaller(signal);
  if (!ready) await lookIfReady(signal);
  try {
    await showAll(signal, asked);
  } catch (error) {
    if (error.type !== STORE_UNAVAILABLE) throw error;
    ready = false; // what was shown last stays
  }
}

async function showAll(signal, asked) {
  const [overview] = await Promise.all([
    read("/overview", signal),
    showRest(signal, asked),
    readHistory(signal),
    showNotices(signal),
  ]);
  const { metrics, queue, types, workers } = overview;
  seenAt = new Date();
  $("lost").hidden = true;
  document.body.removeAttribute("data-lost");
  notePresent(metrics);
  showTroubles(overview);
  showMetrics(metrics, queue);
  showTypes(types, queue);
  showWorkers(workers);
  showStore(queue);
  setText($("uptime"), `up ${duration(metrics.uptime_seconds)}`);
  showPause(queue);
  offerTypes(types);
  countJobs(overview);
  const now = JSON.stringify({ ...metrics, uptime_seconds: 0 });
  if (view === "job") {
    await showJob(signal);
    counted = "";
    return;
  }
  const changed = now !== counted || metrics.jobs_in_progress > 0; // their progress may have changed
  await Promise.all([showGroup(signal), showJobs(signal, changed)]);
  counted = now;
}

/** Every few beats, or if it is asked for, show schedules and processes. */
async function showRest(signal, asked) {
  if (beats++ % RARELY && !asked) return;
  const [schedules, nodes] = await Promise.all([
    read("/schedules", signal),
    read("/nodes", signal),
  ]);
  showSchedules(schedules);
  showNodes(nodes);
}

function showPause(queue) {
  paused = queue.paused;
  $("pause").hidden = false;
  setText($("pause"), paused ? "Resume the queue" : "Pause the queue");
  const what = [...(paused ? ["The queue"] : []), ...queue.paused_types];
  $("paused").hidden = what.length === 0;
  setText(
    $("paused"),
    what.length > 1
      ? `${what.join(", ")} are paused; their jobs wait.`
      : `${what[0]} is paused; its jobs wait.`,
  );
}

function showStore(queue) {
  const jobs = [`${count(queue.pending + queue.processing)} unfinished`];
  if (queue.finished !== undefined) jobs.push(`${count(queue.finished)} finished`);
  setText($("store"), queue.store);
  setAttribute($("store"), "title", queue.store);
  setText($("held"), `${jobs.join(", ")} jobs`);
}

/** Show why the service takes no jobs: its store fails, or it drains or has only just started. */
async function lookIfReady(signal) {
  let problem = null;
  ready = true; // unless the answer says otherwise, or an event that is newer than the answer
  try {
    await read("/health/ready", signal);
  } catch (error) {
    ready = false;
    if (!(error instanceof Problem)) throw error;
    problem = error.type;
  }
  $("failing").hidden = problem !== STORE_UNAVAILABLE;
  $("draining").hidden = problem === null || problem === STORE_UNAVAILABLE;
}

$("pause").addEventListener("click", () => (paused ? resume : pause)());
for (const [id, wantsHour] of [
  ["minutes", false],
  ["hour", true],
]) {
  $(id).addEventListener("click", () => {
    showHour(wantsHour);
    setAttribute($("minutes"), "aria-pressed", !wantsHour);
    setAttribute($("hour"), "aria-pressed", wantsHour);
    redrawCharts();
    beatNow();
  });
}
$("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address must stay
  $("main").focus();
});
addEventListener("hashchange", route);

route();
connect({
  events: NOTED,
  onState(state, reason) {
    setState(state, reason);
    counted = null;
    ready = false;
    forgetHistory();
    expectNotices();
  },
  onEvent(event) {
    expectNotices();
    if (["service_draining", "store_failing"].includes(event.event)) ready = false;
  },
  onBeat,
});
