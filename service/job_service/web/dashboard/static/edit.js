// The dialog that changes a job that waits: its time, its priority, its payload. The service checks
// them: what it refuses is said at the field, and nothing that was written is lost.

import { failureInWords, isRefused } from "./answers.js";
import { Problem, clockOffset, patch, readPage } from "./api.js";
import { isAnyOpen, say } from "./dialogs.js";
import { $, setAttribute, setText } from "./dom.js";
import { duration, exact, zoneAt } from "./format.js";
import { beatNow } from "./live.js";

const NAMES = ["run_at", "priority", "payload"];
const USUAL_PRIORITY = 5; // a job that has it does not say so

/** What each field needs, beyond what the service checks, to be JSON at all. */
const TO_JSON = {
  run_at(text) {
    if (text === "") throw new SyntaxError("Give a date and a time.");
    return JSON.stringify(new Date(text).toISOString());
  },
  priority(text) {
    if (text === "") throw new SyntaxError("Give a whole number.");
    return text;
  },
  payload(text) {
    JSON.parse(text);
    return text; // as it was written, to the digit
  },
};

// Of the last opening: its id, its tag, the texts that the fields had at first, and whether a try
// to save it got no answer.
let job = null;

const field = (name) => $(`edit-${name}`);
const isChanged = (name) =>
  field(name).value !== job.texts[name] || field(name).validity.badInput;

/** Let somebody change the job of this id, unless they have gone elsewhere before it is read. */
export async function editJob(id) {
  const here = location.hash;
  let page = null;
  try {
    page = await readPage(`/jobs/${id}`);
  } catch (error) {
    say(`That did not work: ${error.message}`, true);
    return;
  }
  if (isAnyOpen() || location.hash !== here) return;
  fillIn(page);
  $("edit").showModal();
}

function fillIn({ text, etag }) {
  const { id, run_at: runAt, priority = USUAL_PRIORITY, hidden } = JSON.parse(text);
  const texts = {
    run_at: runAt === undefined ? "" : localTime(runAt),
    priority: String(priority),
    payload: JSON.stringify(exact(text).payload, null, 2),
  };
  job = { id, etag, texts, mayBeSaved: false };
  for (const name of NAMES) {
    field(name).value = texts[name];
    showWrong(name, "");
  }
  $("edit-payload-field").hidden = hidden === true;
  setText($("edit-wrong"), "");
  $("edit-yes").disabled = false;
  showTime();
}

/** A moment as the field has it: in the zone of the browser, and without saying so. */
function localTime(iso) {
  const moment = new Date(iso);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function showTime() {
  const moment = new Date(field("run_at").value || NaN);
  const seconds = (moment - Date.now() - clockOffset) / 1000;
  if (Number.isNaN(seconds)) setText($("edit-run_at-hint"), "It waits for no time");
  else {
    const far = seconds > 0 ? `in ${duration(seconds)}` : "which is over";
    setText($("edit-run_at-hint"), `${zoneAt(moment)}, ${far}`);
  }
}

function showWrong(name, words) {
  const place = $(`edit-${name}-wrong`);
  setText(place, words);
  place.hidden = words === "";
  setAttribute(field(name), "aria-invalid", words === "" ? null : "true");
}

/** The changes as JSON text; null if a field has none, which is then said. */
function changes() {
  const members = [];
  let firstWrong = null;
  for (const name of NAMES.filter(isChanged)) {
    try {
      members.push(`"${name}":${TO_JSON[name](field(name).value)}`);
    } catch (error) {
      showWrong(name, error.message);
      firstWrong ??= field(name);
    }
  }
  firstWrong?.focus();
  return firstWrong ? null : `{${members.join(",")}}`;
}

async function save() {
  NAMES.forEach((name) => showWrong(name, ""));
  setText($("edit-wrong"), NAMES.some(isChanged) ? "" : "Nothing is changed yet.");
  if (!NAMES.some(isChanged)) return;
  const body = changes();
  if (body === null) return;
  const saved = job;
  // Meanwhile somebody may leave the dialog, and open it again, perhaps for another job.
  const isOpen = () => job === saved && $("edit").open;
  $("edit-yes").disabled = true;
  try {
    const words = await change(saved, body);
    say(isOpen() ? `The job is ${words}.` : `The job ${saved.id} is ${words}.`);
    if (isOpen()) $("edit").close();
  } catch (error) {
    if (isOpen()) explain(error);
    else say(`Job ${saved.id}: ${failureInWords(error)}`, true);
  } finally {
    if (isOpen()) $("edit-yes").disabled = false;
  }
  beatNow();
}

/** Change the job, and give what it is then. A try without an answer may be why a later one is refused. */
async function change(saved, body) {
  try {
    await patch(`/jobs/${saved.id}`, body, saved.etag);
    return "changed";
  } catch (error) {
    if (!isRefused(error)) saved.mayBeSaved = true;
    else if (saved.mayBeSaved && (await isSaved(saved.id, body))) return "as you saved it first";
    throw error;
  }
}

/** Whether a job has all these changes. */
async function isSaved(id, body) {
  const { text } = await readPage(`/jobs/${id}`);
  const { run_at: runAt, priority } = JSON.parse(body);
  const now = JSON.parse(text);
  const payloadIn = (json) => JSON.stringify(exact(json).payload);
  return (
    (runAt === undefined || Date.parse(runAt) === Date.parse(now.run_at)) &&
    (priority === undefined || priority === (now.priority ?? USUAL_PRIORITY)) &&
    [undefined, payloadIn(text)].includes(payloadIn(body))
  );
}

function explain(error) {
  const name = nameOf(error);
  if (name !== undefined) {
    showWrong(name, error.message.replace(/^not a change of a job: /, "")); // that is plain here
    field(name).focus();
    return;
  }
  setText($("edit-wrong"), failureInWords(error));
  if (error.status !== 412) return;
  job.etag = "*"; // any
  setText(
    $("edit-wrong"),
    "The job has changed since you opened this. Save again to change it all the same.",
  );
}

/** The field that the service does not take, if it is one. */
function nameOf(error) {
  if (!(error instanceof Problem)) return undefined;
  if (error.type === "/problems/invalid-payload") return "payload";
  if (error.type !== "/problems/malformed") return undefined;
  return NAMES.find((name) => error.message.includes(name));
}

field("run_at").addEventListener("input", showTime);
$("edit-form").addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
$("edit-no").addEventListener("click", () => $("edit").close());
$("edit").addEventListener("cancel", (event) => {
  if (!NAMES.some(isChanged)) return;
  event.preventDefault(); // a key that is hit by mistake shall not cost what was written
  setText($("edit-wrong"), "This is not saved yet: save it, or go back without.");
});
