// The line above the table that acts on the selected jobs: how many they are, what can be done to
// them, how far it is, and what came of it.

import { failureInWords } from "./answers.js";
import { confirm, say } from "./dialogs.js";
import { $, setAttribute, setText } from "./dom.js";
import {
  countMatching,
  countOf,
  filtersAsText,
  filtersInWords,
  filtersToAsk,
  statusesSought,
} from "./filters.js";
import { count, plural, sentence } from "./format.js";
import { ACTIONS, begin, countFound, goOn } from "./portions.js";
import { areAllSelected, isAnySelected, selectAll, selectedIds } from "./selection.js";

let work = null; // what is being done, or was stopped before its end
let isWorking = false;
let isCounting = false;
let page = { isSelected: false, isAll: true }; // of the table
let afterwards = () => {};

/** Call this when something was done to jobs. */
export const onActed = (call) => (afterwards = call);

/** Show what is selected; of the page, whether all of it `isSelected`, and whether it `isAll`. */
export function showSelection(told) {
  page = told;
  show();
}

function show() {
  $("acting").hidden = !isAnySelected() || isWorking;
  const matching = countMatching();
  const all = matching === null ? "all jobs" : `all ${plural(matching, "job")}`;
  const words = areAllSelected()
    ? `${sentence(all)} that match ${matching === 1 ? "is" : "are"} selected`
    : `${count(selectedIds().length)} selected`;
  setText($("selected"), isCounting ? "Counting" : words);
  $("select-all").hidden = areAllSelected() || !page.isSelected || page.isAll;
  setText($("select-all"), `Select ${all} that match`);
  for (const name in ACTIONS)
    $(`all-${name}`).disabled = areAllSelected() && statusesFor(name).length === 0;
}

/** Of which statuses jobs must be to be meant, if all that match the filters are selected. */
function statusesFor(name) {
  const { statuses, unlessSaid = statuses } = ACTIONS[name];
  const sought = statusesSought();
  return sought.length ? sought.filter((status) => statuses.includes(status)) : unlessSaid;
}

/** The queries that find the selected jobs, how many these are, and what to say of them. */
async function selectedFor(name) {
  if (!areAllSelected()) {
    const ids = selectedIds();
    const queries = ids.map((id) => withStatuses(new URLSearchParams({ id }), ACTIONS[name].statuses));
    return { queries, jobs: ids.length, isAll: true, which: "" };
  }
  const statuses = statusesFor(name);
  const query = withStatuses(filtersToAsk(), statuses);
  const filters = filtersInWords();
  const which = `These are all ${statuses.join(" and ")} jobs${filters && ` that match: ${filters}`}. `;
  const jobs = countOf(statuses);
  const found = jobs === null ? await countFound(query) : { jobs, isAll: true };
  return { queries: [query], ...found, which };
}

function withStatuses(query, statuses) {
  query.delete("status");
  statuses.forEach((status) => query.append("status", status));
  return query;
}

const inWords = ({ jobs, isAll }) => `${isAll ? "" : "more than "}${plural(jobs, "job")}`;

async function act(name) {
  if (isCounting) return;
  const action = ACTIONS[name];
  const sought = filtersAsText();
  isCounting = areAllSelected();
  show();
  const found = await selectedFor(name).catch((error) =>
    say(`That did not work: ${error.message}`, true),
  );
  isCounting = false;
  show();
  if (found === undefined || sought !== filtersAsText()) return; // of jobs that are no longer listed
  if (found.jobs === 0 && found.isAll) {
    say("There is no such job now.", true);
    return;
  }
  const title = action.title(inWords(found));
  const question = {
    title,
    text: found.which + action.terms,
    action: title.slice(0, -1),
    danger: action.danger,
  };
  if (!(await confirm(question))) return;
  work = { ...begin(name, found.queries), found };
  selectAll(false);
  await carryOn();
}

/** Do one portion after the other, until it is done, somebody stops it, or it does not work. */
async function carryOn() {
  isWorking = true;
  work.isStopped = false;
  let failed = null;
  showWork();
  $("working-stop").focus({ preventScroll: true }); // what was pressed is gone
  try {
    while (!work.isStopped && (await goOn(work))) showWork();
  } catch (error) {
    failed = failureInWords(error);
  }
  isWorking = false;
  showOutcome(failed);
  afterwards();
}

const doneSoFar = () => ACTIONS[work.name].amount(work.done);

function showWork() {
  const { found } = work;
  $("acting").hidden = $("outcome").hidden = true;
  $("working").hidden = false;
  setText($("working-what"), work.isStopped ? "Stopping" : ACTIONS[work.name].doing);
  setAttribute($("working-bar"), "max", found.isAll ? Math.max(1, found.jobs) : null);
  setAttribute($("working-bar"), "value", found.isAll ? Math.min(found.jobs, doneSoFar()) : null);
  const far = `${count(doneSoFar())} of ${inWords(found)}`;
  setText($("working-far"), work.isFull ? `${far}; waiting for room in the queue` : far);
  $("working-stop").disabled = work.isStopped;
}

function showOutcome(failed) {
  const { found, queries } = work;
  const isOver = queries.length === 0;
  const left = isOver && found.isAll ? found.jobs - doneSoFar() : 0;
  const words = [
    failed,
    failed === null && !isOver && "Stopped.",
    `${ACTIONS[work.name].result(work.done)}${left > 0 ? `; ${count(left)} passed over` : ""}.`,
  ]
    .filter(Boolean)
    .join(" ");
  const focused = document.activeElement;
  const isFocusLost = focused === document.body || $("working").contains(focused);
  setText($("outcome-text"), words);
  setAttribute($("outcome"), "data-failed", failed !== null);
  $("working").hidden = true;
  $("outcome").hidden = false;
  $("outcome-go-on").hidden = isOver;
  if (isFocusLost) $(isOver ? "outcome-close" : "outcome-go-on").focus({ preventScroll: true });
  if ($("overview").hidden) say(words, failed !== null);
}

for (const name in ACTIONS) $(`all-${name}`).addEventListener("click", () => act(name));
$("select-all").addEventListener("click", () => selectAll(true));
$("select-none").addEventListener("click", () => selectAll(false));
$("working-stop").addEventListener("click", () => {
  work.isStopped = true;
  showWork();
});
$("outcome-go-on").addEventListener("click", carryOn);
$("outcome-close").addEventListener("click", () => ($("outcome").hidden = true));
addEventListener("beforeunload", (event) => {
  if (isWorking) event.preventDefault(); // it would stop halfway
});
