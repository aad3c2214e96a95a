// The schedules: when each runs next, who has paused it, and what can be done to it.

import { pauseSchedule, resumeSchedule, runScheduleNow } from "./actions.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { clockInZone, count, zoneAt } from "./format.js";

/** Show the schedules, if there are any. */
export function showSchedules(schedules) {
  $("schedules-panel").hidden = schedules.length === 0;
  fill($("schedules"), schedules, createSchedule, showSchedule);
}

function showSchedule(item, schedule) {
  const [head, state, more] = item.children;
  const [name, run, pause] = head.children;
  setText(name, schedule.schedule);
  setAttribute(name, "title", timesOf(schedule));
  setAttribute(run, "aria-label", `Run ${schedule.schedule} now`);
  run.onclick = () => runScheduleNow(schedule.schedule);
  setText(pause, schedule.paused ? "Resume" : "Pause");
  setAttribute(pause, "aria-label", `${pause.textContent} ${schedule.schedule}`);
  pause.onclick = () => (schedule.paused ? resumeSchedule : pauseSchedule)(schedule.schedule);

  const [next, last, skipped] = state.children;
  setText(next, schedule.paused ? pauseOf(schedule) : nextOf(schedule));
  next.classList.toggle("paused", schedule.paused);
  setText(last, schedule.last_run_at ? `last ${clockInZone(schedule.last_run_at)}` : "");
  setAttribute(last, "href", schedule.last_job_id ? `#/jobs/${schedule.last_job_id}` : null);
  setText(skipped, schedule.skipped ? `${count(schedule.skipped)} skipped` : "");

  const ticks = schedule.next_ticks ?? [];
  more.hidden = ticks.length === 0;
  setText(more.firstElementChild, schedule.paused ? "Ticks it passes over" : "Next ticks");
  fill(more.lastElementChild, ticks, () => make("li"), (line, tick) => setText(line, dated(tick)));
}

const nextOf = ({ next_run_at: next }) => (next ? `next ${dated(next)}` : "not started");

/** A moment in its zone: with its day if that is not today, and with its year if that is another. */
function dated(iso) {
  const [moment, today] = [new Date(iso), new Date()];
  if (moment.toDateString() === today.toDateString()) return clockInZone(iso);
  const isThisYear = moment.getFullYear() === today.getFullYear();
  const day = { weekday: "short", day: "numeric", month: "short" };
  const date = moment.toLocaleDateString("en-GB", isThisYear ? day : { ...day, year: "numeric" });
  return `${date} ${moment.toLocaleTimeString("en-GB")} ${zoneAt(iso)}`;
}

const pauseOf = ({ paused_since: since, paused_by: by }) =>
  `paused since ${clockInZone(since)}${by ? ` by ${by}` : ""}`;

const timesOf = ({ cron, timezone, every_seconds: seconds }) =>
  cron ? `${cron}, ${timezone}` : `every ${seconds} s`;

const button = (text) =>
  make("button", { type: "button", "data-needs": "operate", class: "small" }, text);

const createSchedule = () =>
  make(
    "li",
    {},
    make("div", {}, make("b"), button("Run now"), button("")),
    make("div", {}, make("span"), make("a"), make("span")),
    make("details", {}, make("summary"), make("ol")),
  );
