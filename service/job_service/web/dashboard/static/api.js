// Calls to the service, with the token where it wants one.

import { askForToken } from "./dialogs.js";

const TOKEN = "job-service-token";
const PATIENCE = 10_000; // milliseconds

/** An answer that is no success; `detail` says why. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** There was no answer, or no end of it. */
export class Unreachable extends Error {}

/** The same promise; where it ends for want of a connection, it does so with Unreachable. */
export const unreachable = (promise) =>
  promise.catch((error) => {
    throw error instanceof TypeError ? new Unreachable(error.message) : error;
  });

/** How far this machine's clock is behind the service's, in milliseconds; 0 where they agree. */
export let clockOffset = 0;

let asking = null;

function token(wrong) {
  asking ??= askForToken(wrong).then((given) => {
    sessionStorage.setItem(TOKEN, given);
    asking = null;
  });
  return asking;
}

/** A successful response to a call that `signal` may cut off. Throws Problem or Unreachable. */
export async function call(
  path,
  { method = "GET", headers = {}, signal, patience = PATIENCE } = {},
) {
  for (;;) {
    if (asking) await asking;
    const sent = sessionStorage.getItem(TOKEN);
    if (sent !== null) headers = { ...headers, Authorization: `Bearer ${sent}` };
    const signals = [signal, patience && AbortSignal.timeout(patience)].filter(Boolean);
    const response = await unreachable(
      fetch(path, { method, headers, signal: AbortSignal.any(signals) }),
    );
    noteClock(response);
    if (response.ok) return response;
    if (response.status === 401) {
      // Another call may have been told of the same token before.
      if (sent === sessionStorage.getItem(TOKEN)) await token(sent !== null);
      continue;
    }
    const problem = await response.json().catch(() => ({}));
    throw new Problem(response.status, problem.detail ?? response.statusText);
  }
}

/** The text that a GET answers, and the address of the next page, if there is one. */
export async function readPage(path, signal) {
  const response = await call(path, { signal });
  const next = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "");
  return { text: await unreachable(response.text()), next: next && next[1] };
}

/** The JSON that a GET answers. */
export const read = async (path, signal) => JSON.parse((await readPage(path, signal)).text);

/** The JSON that a POST answers. */
export async function post(path) {
  const response = await call(path, { method: "POST" });
  return JSON.parse(await unreachable(response.text()));
}

function noteClock(response) {
  const offset = Date.parse(response.headers.get("Date") ?? "") - Date.now();
  if (!Number.isNaN(offset)) clockOffset = Math.abs(offset) < 2000 ? 0 : offset;
}

/** Seconds since a moment of the service's clock. */
export const since = (iso) => Math.max(0, (Date.now() + clockOffset - Date.parse(iso)) / 1000);
