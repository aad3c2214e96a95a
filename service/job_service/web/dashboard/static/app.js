// The page as a whole: its address says what it shows, and its connection keeps it up to date.

import { pause, resume } from "./actions.js";
import { Problem, read } from "./api.js";
import { $, setText } from "./dom.js";
import { clock, duration } from "./format.js";
import { take } from "./history.js";
import { openJob, showJob } from "./job.js";
import { filterJobs, offerTypes, showJobs } from "./jobs.js";
import { beatNow, connect } from "./live.js";
import { NOTED, note, showNotices } from "./notices.js";
import { showMetrics, showTypes, showWorkers } from "./overview.js";

const STATES = {
  connecting: "Connecting",
  live: "Live",
  lost: "Reconnecting",
};

let view = null; // "overview" or "job"
let counted = null; // the metrics that were last shown; if they are the same, so are jobs and workers
let paused = false;
let seenAt = null; // when the metrics were last read
let overviewAddress = "#/";

function route() {
  const address = location.hash || "#/";
  if (!address.startsWith("#/")) return;
  const before = view;
  const [path, query] = address.slice(2).split("?");
  if (path.startsWith("jobs/")) {
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
  if (before !== null && (before !== view || view === "job")) {
    scrollTo(0, 0);
    $(view)
      .querySelector("h1")
      .focus({ preventScroll: true });
  }
}

function setState(state, reason) {
  $("connection").dataset.state = state;
  setText($("connection"), STATES[state]);
  $("lost").hidden = state !== "lost";
  if (state !== "lost") return;
  const asOf = seenAt ? `What you see is as of ${clock(seenAt)}.` : "";
  setText(
    $("lost"),
    `${reason ? `The service says: ${reason}.` : "The service can't be reached."} ${asOf}`,
  );
}

async function onBeat(signal) {
  const [metrics, queue] = await Promise.all([read("/metrics", signal), read("/queue", signal)]);
  seenAt = new Date();
  if (counted === null || !$("draining").hidden) await lookIfDraining(signal);
  take(metrics, queue);
  showMetrics(metrics, queue);
  setText($("uptime"), `up ${duration(metrics.uptime_seconds)}`);
  showPause(queue);
  showNotices();
  const now = JSON.stringify({ ...metrics, uptime_seconds: 0 });
  if (view === "job") {
    await showJob(signal);
    counted = "";
    return;
  }
  const changed = now !== counted || metrics.jobs_in_progress > 0; // their progress may have changed
  const [types] = await Promise.all([
    showTypes(signal),
    showJobs(signal, changed),
    showWorkers(signal, changed),
  ]);
  if (types) offerTypes(types);
  counted = now;
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

/** Show whether the service takes no jobs: it drains, or has only just started. */
async function lookIfDraining(signal) {
  try {
    await read("/health/ready", signal);
    $("draining").hidden = true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    $("draining").hidden = false;
  }
}

$("pause").addEventListener("click", async () => {
  const queue = await (paused ? resume : pause)();
  if (queue) showPause(queue);
});
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
  },
  onEvent(event) {
    note(event);
    if (event.event === "service_draining") $("draining").hidden = false;
  },
  onBeat,
});
