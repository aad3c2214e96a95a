// What is done to many jobs at once: portion by portion, so that each answer comes soon. A portion
// may be repeated: what was done to a job already is not done to it again.

import { post, readPage } from "./api.js";
import { count, plural } from "./format.js";

const PORTION = 500; // jobs that one call looks at
const ROOM_SOON = 2000; // milliseconds until a full queue is asked again
const COUNTED_PAGES = 10; // of what nobody has counted
const PAGE = 1000;

const were = (jobs) => (jobs === 1 ? "is" : "are");

/** What can be done: to jobs of which status, what to say of it, and how much an answer has done. */
export const ACTIONS = {
  cancel: {
    statuses: ["pending", "processing"],
    title: (jobs) => `Cancel ${jobs}?`,
    terms:
      "Running ones are interrupted at their handler's next checkpoint, and those that have ended stay as they are. This can't be undone.",
    doing: "Cancelling",
    danger: true,
    amount: ({ cancelled, interrupted }) => cancelled + interrupted,
    result: ({ cancelled, interrupted }) =>
      `${plural(cancelled, "job")} ${were(cancelled)} cancelled${interrupted ? `, ${count(interrupted)} being interrupted` : ""}`,
  },
  "run-now": {
    statuses: ["pending"],
    title: (jobs) => `Run ${jobs} now?`,
    terms:
      "They wait no longer for their time; pauses and limits still hold them back. Those that have started, or wait for other jobs, stay as they are.",
    doing: "Making ready",
    amount: ({ made_ready: ready }) => ready,
    result: ({ made_ready: ready }) =>
      `${plural(ready, "job")} ${ready === 1 ? "waits" : "wait"} no longer for ${ready === 1 ? "its" : "their"} time`,
  },
  retry: {
    statuses: ["completed", "failed", "cancelled", "abandoned"],
    unlessSaid: ["failed"], // as the service has it
    title: (jobs) => `Run ${jobs} again?`,
    terms:
      "Each is made again as a new job with the same payload. Those that have not ended, or were run again like this within a day, are passed over.",
    doing: "Running again",
    amount: ({ retried }) => retried,
    result: ({ retried }) => `${plural(retried, "job")} ${were(retried)} run again, as new ones`,
  },
};

/** An action that has not begun, on the jobs that each of these queries finds. */
export const begin = (name, queries) => ({
  name,
  queries,
  cursor: null,
  isFull: false, // whether the queue had no room for more
  done: { cancelled: 0, interrupted: 0, made_ready: 0, retried: 0 },
});

/** Do the next portion of it; resolves to whether there is more. */
export async function goOn(work) {
  if (work.isFull) await new Promise((resolve) => setTimeout(resolve, ROOM_SOON));
  const query = new URLSearchParams(work.queries[0]);
  query.set("limit", PORTION);
  if (work.cursor) query.set("cursor", work.cursor);
  const { next = null, full = false, ...done } = await post(`/jobs/${work.name}?${query}`);
  for (const key in done) work.done[key] += done[key];
  work.cursor = next;
  work.isFull = full;
  if (next === null && !full) work.queries.shift();
  return work.queries.length > 0;
}

/** How many jobs a query finds, as far as it is worth counting; `isAll` if there are no more. */
export async function countFound(query) {
  const found = { jobs: 0, isAll: false };
  let wanted = `/jobs?${query}&order=newest&limit=${PAGE}`;
  for (let pages = 0; pages < COUNTED_PAGES && wanted !== null; pages++) {
    const { text, next } = await readPage(wanted);
    found.jobs += JSON.parse(text).length;
    wanted = next;
  }
  found.isAll = wanted === null;
  return found;
}
