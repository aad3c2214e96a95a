// Who runs jobs: the workers of this process, and the processes that share its store.

import { since } from "./api.js";
import { $, fill, make, setAttribute, setText } from "./dom.js";
import { clock, count, duration } from "./format.js";

/** Show what each worker does, and since when. */
export function showWorkers(workers) {
  fill($("workers"), workers, createWorker, (row, worker) => {
    const [name, what, link, when] = row.children;
    setAttribute(row, "data-state", worker.state);
    setText(name, worker.worker_id);
    setText(what, worker.state === "idle" ? "idle" : "");
    setText(link, worker.job_type ?? "");
    setAttribute(link, "href", worker.job_id ? `#/jobs/${worker.job_id}` : null);
    setText(when, duration(since(worker.since)));
  });
}

const createWorker = () =>
  make(
    "li",
    {},
    make("span", { class: "name" }),
    make("span", { class: "quiet" }),
    make("a"),
    make("span", { class: "number quiet" }),
  );

/** Show the processes that share the store, if it can be shared. */
export function showNodes(nodes) {
  $("nodes-panel").hidden = nodes.length === 0;
  const asked = nodes.find((node) => node.is_asked);
  $("scope").hidden = asked === undefined;
  if (asked) setText($("scope"), scopeOf(asked, nodes.length));
  fill($("nodes"), nodes, createNode, (row, node) => {
    const [name, running, waiting, lease] = row.children;
    setText(name, `${nameOf(node)}${node.is_asked ? " (this one)" : ""}`);
    const since = `version ${node.version}, since ${clock(node.started_at)}`;
    setAttribute(name, "title", `node ${node.node}: ${since}: ${node.job_types.join(", ")}`);
    setText(running, count(node.processing));
    setText(waiting, count(node.waiting));
    setText(lease, node.lease_seconds > 0 ? duration(node.lease_seconds) : "over");
    lease.classList.toggle("bad", node.lease_seconds <= 0);
  });
}

const nameOf = ({ host, pid }) => `${host} ${pid}`;

/** Which part of the page is of the process that answers, and which of all that share the store. */
function scopeOf(node, processes) {
  const which = processes > 1 ? `one of ${count(processes)}` : "the only one";
  const elsewhere =
    processes > 1 ? " What fails in another process is in the list of failed jobs." : "";
  return `Counters, charts and workers, what happened and what is wrong are of this process (${nameOf(node)}, ${which}) and the jobs that it has claimed.${elsewhere} All else is of all that share the database.`;
}

const createNode = () =>
  make(
    "tr",
    {},
    make("th", { scope: "row" }),
    ...[1, 2, 3].map(() => make("td", { class: "number" })),
  );
