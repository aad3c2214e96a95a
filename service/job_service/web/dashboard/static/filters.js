// What the table of jobs is filtered by: the address says it; tabs, fields and marks change it.

import { clockOffset } from "./api.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { count } from "./format.js";
import { offerSeveral } from "./several.js";

/** What a job may be, in the order of its life. */
export const STATUSES = ["pending", "processing", "completed", "failed", "cancelled", "abandoned"];
const SOUGHT = { id: "Id", unique_key: "Unique key", tag: "Tag", group: "Group", error: "Error" };
const IN_PART = ["id", "error"];
const MARKED = { ...SOUGHT, type: "Type", since: "Seconds" };
const SINCE = { 900: "15 minutes", 3600: "hour", 86400: "24 hours" };
const NAMES = ["status", "type", ...Object.keys(SOUGHT), "since"];
const SEVERAL = ","; // no type is called so
const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

let filters = new URLSearchParams();

/** The filters as one text, which is the same as long as they are. */
export const filtersAsText = () => filters.toString();

/** Whether any job may be left out. */
export const areSet = () => filters.size > 0;

/** Whether jobs are sought that may be hard to find. */
export const areHard = () => Object.keys(SOUGHT).some((name) => filters.has(name));

/** The statuses that are asked for; none if it may be any. */
export const statusesSought = () => filters.getAll("status").flatMap((text) => text.split(","));

const typesSought = () => filters.getAll("type");

/** All else that is asked for, in words; nothing if that is all. */
export const filtersInWords = () =>
  [...filters]
    .filter(([name]) => name !== "status")
    .map(([name, value]) =>
      name === "since"
        ? `created in the last ${SINCE[value] ?? `${value} seconds`}`
        : `${MARKED[name].toLowerCase()} ${value}`,
    )
    .join(", ");

/** The id of the group whose jobs are sought, or null. */
export const groupSought = () => filters.get("group");

/** Take the filters of an address, and show them. */
export function takeFilters(query) {
  filters = new URLSearchParams(
    [...query].filter(([name, value]) => NAMES.includes(name) && value !== ""),
  );
  offerTypes(typesSought().map((type) => ({ type })));
  $("filter-type").value = typesSought().length > 1 ? SEVERAL : (filters.get("type") ?? "");
  $("filter-since").value = filters.get("since") in SINCE ? filters.get("since") : "";
  showMarks();
  showTabs();
  showSeveral();
}

/** The same as `GET /jobs` takes them. */
export function filtersToAsk() {
  const query = new URLSearchParams(filters);
  const since = Number(query.get("since"));
  query.delete("since");
  if (since > 0) {
    const moment = new Date(Date.now() + clockOffset - since * 1000);
    query.set("created_after", moment.toISOString());
  }
  return query;
}

/** Offer these types to filter by. */
export function offerTypes(types) {
  const select = $("filter-type");
  const offered = [...select.options].map(({ value }) => value);
  const missing = types.filter(({ type }) => !offered.includes(type));
  select.append(...missing.map(({ type }) => make("option", {}, type)));
  if (missing.length > 0) showSeveral();
}

function showSeveral() {
  const types = [...$("filter-type").options].filter((option) => !option.hidden && option.value);
  const names = types.map(({ value }) => value);
  for (const [name, values, chosen] of [
    ["status", STATUSES, statusesSought()],
    ["type", names, typesSought()],
  ])
    offerSeveral($(`several-${name}`), values, chosen, (wanted) => {
      location.hash = addressWith(name, ...wanted);
    });
}

let told = null; // the last overview

/** Show how many jobs each tab has, as this overview tells. */
export function countJobs(overview) {
  told = overview;
  showTabs();
}

/** How many jobs with any of these statuses match all other filters; null if nobody knows. */
export function countOf(statuses) {
  if (told === null || areHard() || filters.has("since")) return null;
  const chosen = typesSought();
  const counts = chosen.length
    ? told.types.filter(({ type }) => chosen.includes(type))
    : [told.jobs];
  return counts.reduce((sum, each) => statuses.reduce((all, status) => all + each[status], sum), 0);
}

/** How many jobs match the filters; null if nobody knows. */
export const countMatching = () =>
  countOf(statusesSought().length ? statusesSought() : STATUSES);

function showTabs() {
  fill($("tabs"), ["", ...STATUSES], createTab, (item, status) => {
    const link = item.firstElementChild;
    const [name, number] = link.children;
    setText(name, status || "all");
    setAttribute(name, "data-status", status || null);
    setAttribute(link, "id", `tab-${status || "all"}`);
    setAttribute(link, "href", addressWith("status", status));
    const statuses = statusesSought();
    const here = status ? statuses.includes(status) : statuses.length === 0;
    setAttribute(link, "aria-current", here ? "true" : null);
    const jobs = countOf(status ? [status] : STATUSES);
    setText(number, jobs === null ? "" : count(jobs));
  });
}

const createTab = () =>
  make("li", {}, make("a", {}, make("span"), " ", make("span", { class: "count" })));

/** What else is asked for than tabs and fields show, each with a way to be rid of it. */
function showMarks() {
  const shown = [...filters].filter(([name]) => name in SOUGHT);
  if (typesSought().length > 1)
    shown.push(...[...filters].filter(([name]) => name === "type"));
  if (filters.has("since") && !(filters.get("since") in SINCE))
    shown.push(["since", filters.get("since")]);
  $("marks").hidden = shown.length === 0;
  fill($("marks"), shown, createMark, (item, [name, value]) => {
    const [words, button] = item.children;
    const what = MARKED[name];
    setText(words, `${what}: ${value}`);
    setAttribute(button, "aria-label", `Find without ${what} ${value}`);
    button.onclick = () => {
      const wanted = new URLSearchParams(filters);
      wanted.delete(name, value);
      location.hash = addressOf(wanted);
    };
  });
}

const createMark = () =>
  make("li", {}, make("span"), make("button", { type: "button", class: "small" }, "✕"));

/** Where the jobs are listed that match these filters and no others. */
export const addressOfJobs = (wanted) => addressOf(new URLSearchParams(wanted));

function addressWith(name, ...values) {
  const wanted = new URLSearchParams(filters);
  wanted.delete(name);
  values.filter(Boolean).forEach((value) => wanted.append(name, value));
  return addressOf(wanted);
}

const addressOf = (wanted) => (wanted.size ? `#/?${wanted}` : "#/");

for (const name of ["type", "since"]) {
  $(`filter-${name}`).addEventListener("change", (event) => {
    location.hash = addressWith(name, event.target.value);
  });
}
for (const [seconds, words] of Object.entries(SINCE))
  $("filter-since").append(make("option", { value: seconds }, `the last ${words}`));
for (const [name, words] of Object.entries(SOUGHT))
  $("find-by").append(make("option", { value: name }, words));

const sayHow = () =>
  setAttribute(
    $("find-text"),
    "placeholder",
    IN_PART.includes($("find-by").value) ? "any part of it" : "the whole of it",
  );
$("find-by").addEventListener("change", sayHow);
sayHow();

$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const [name, text] = [$("find-by").value, $("find-text").value.trim()];
  if (text === "") return;
  $("find-text").value = "";
  location.hash =
    name === "id" && WHOLE_ID.test(text)
      ? `#/jobs/${text.toLowerCase()}`
      : addressWith(name, text);
});
