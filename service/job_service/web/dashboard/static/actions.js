// What a user can do: each action asks first, and then says what became of it.

import { failureInWords, postOnce } from "./answers.js";
import { post } from "./api.js";
import { confirm, say } from "./dialogs.js";
import { clock, count, plural } from "./format.js";
import { beatNow } from "./live.js";

async function act(question, path, tell, send = post) {
  if (!(await confirm(question))) return null;
  try {
    const answer = await send(path);
    say(answer.replayed ? "It was done when you first asked, and not again." : tell(answer));
    return answer;
  } catch (error) {
    say(failureInWords(error), true);
    return null;
  } finally {
    beatNow();
  }
}

const ofType = (type) => (type ? `?type=${encodeURIComponent(type)}` : "");

/** Start no more jobs, or no more of this type. */
export const pause = (type) =>
  act(
    {
      title: type ? `Pause ${type}?` : "Pause the queue?",
      text: `No ${type ? `job of type ${type}` : "job"} starts until you resume. Running jobs go on, and new ones are accepted.`,
      action: "Pause",
    },
    `/queue/pause${ofType(type)}`,
    () => (type ? `${type} is paused.` : "The queue is paused."),
  );

/** Start jobs again, or those of this type. */
export const resume = (type) =>
  act(
    {
      title: type ? `Resume ${type}?` : "Resume the queue?",
      text: `${type ? `Jobs of type ${type}` : "Jobs"} start again at once.`,
      action: "Resume",
    },
    `/queue/resume${ofType(type)}`,
    (queue) => `${type ?? "The queue"} goes on; ${plural(queue.ready, "job")} ready for a worker.`,
  );

/** Let a job wait no longer for its time. */
export const runNow = (job) =>
  act(
    {
      title: "Run it now?",
      text: "It waits no longer for its time. A pause and the limits of its type still hold it back.",
      action: "Run it now",
    },
    `/jobs/${job.id}/run-now`,
    () => "The job waits no longer for its time.",
  );

/** Cancel a job. */
export const cancel = (job) =>
  act(
    {
      title: "Cancel the job?",
      text:
        job.status === "processing"
          ? "Its handler is interrupted at its next checkpoint. This can't be undone."
          : "It will not run. This can't be undone.",
      action: "Cancel the job",
      danger: true,
    },
    `/jobs/${job.id}/cancel`,
    (now) =>
      now.status === "cancelled" ? "The job is cancelled." : "The job is being interrupted.",
  );

/** Run a job that has ended again, as a new job, which is the result. */
export const retry = (job) =>
  act(
    {
      title: "Run it again?",
      text: "A new job with the same payload is made; this one stays as it is.",
      action: "Run it again",
    },
    `/jobs/${job.id}/retry`,
    () => "A new job was made.",
    postOnce,
  );

/** Cancel all jobs of a group that have not ended. */
export const cancelGroup = (group) =>
  act(
    {
      title: "Cancel the group?",
      text: `${plural(group.pending + group.processing, "job")} of it ${group.pending + group.processing === 1 ? "has" : "have"} not ended. This can't be undone.`,
      action: "Cancel the group",
      danger: true,
    },
    `/groups/${group.id}/cancel`,
    ({ cancelled, interrupted }) =>
      `${plural(cancelled, "job")} cancelled, ${count(interrupted)} being interrupted.`,
  );

/** Run those jobs of a group again that did not complete, as a new group, which is the result. */
export const retryGroup = (group) =>
  act(
    {
      title: "Run the rest again?",
      text: `A new group is made of the ${plural(group.failed + group.cancelled, "job")} that did not complete; this one stays as it is.`,
      action: "Run the rest again",
    },
    `/groups/${group.id}/retry`,
    (made) => `A new group of ${plural(made.jobs, "job")} was made.`,
    postOnce,
  );

/** Make the job of a schedule now. */
export const runScheduleNow = (name) =>
  act(
    {
      title: `Run ${name} now?`,
      text: "The job that a tick would make is made at once. The next tick stays when it is.",
      action: "Run now",
    },
    `${pathOf(name)}/run-now`,
    (job) => `Job ${job.id.slice(-8)} of ${name} was made.`,
    postOnce,
  );

/** Let the ticks of a schedule make no jobs. */
export const pauseSchedule = (name) =>
  act(
    {
      title: `Pause ${name}?`,
      text: "It makes no jobs until you resume it. What falls due meanwhile is not made up for.",
      action: "Pause",
    },
    `${pathOf(name)}/pause`,
    () => `The schedule ${name} is paused.`,
  );

/** Let the ticks of a schedule make jobs again. */
export const resumeSchedule = (name) =>
  act(
    {
      title: `Resume ${name}?`,
      text: "It makes jobs again, from its next tick on.",
      action: "Resume",
    },
    `${pathOf(name)}/resume`,
    (schedule) => `The schedule ${name} runs next at ${clock(schedule.next_run_at)}.`,
  );

const pathOf = (schedule) => `/schedules/${encodeURIComponent(schedule)}`;
