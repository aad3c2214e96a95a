// Calls to the service, with a token if it asks for one.

import { askForToken } from "./dialogs.js";

const ROOT = new URL("..", import.meta.url); // of the service, which may be below that of its host
const TOKEN = "job-service-token";
const PATIENCE = 10_000; // milliseconds

/** The service answered with an error; `type` says which, and `detail` why. */
export class Problem extends Error {
  constructor(status, type, detail) {
    super(detail);
    this.status = status;
    this.type = type;
  }
}

/** There was no answer, or it did not come to its end. */
export class Unreachable extends Error {}

/** The same promise; if the connection fails or takes too long, it rejects with Unreachable. */
export const unreachable = (promise) =>
  promise.catch((error) => {
    const isNone = error instanceof TypeError || error.name === "TimeoutError";
    throw isNone ? new Unreachable("no answer came") : error;
  });

/** How far this machine's clock is behind the service's, in milliseconds; 0 if they agree. */
export let clockOffset = 0;

let asking = null;

function token(wrong) {
  asking ??= askForToken(wrong).then((given) => {
    sessionStorage.setItem(TOKEN, given);
    asking = null;
  });
  return asking;
}

/** Ask for a token now, unless this tab has one. */
export async function requireToken() {
  if (sessionStorage.getItem(TOKEN) === null) await token(false);
}

/** The successful response to a call. `signal` may abort it. Throws Problem or Unreachable. */
export async function call(
  path,
  { method = "GET", headers = {}, body, signal, patience = PATIENCE } = {},
) {
  for (;;) {
    if (asking) await asking;
    const sent = sessionStorage.getItem(TOKEN);
    if (sent !== null) headers = { ...headers, Authorization: `Bearer ${sent}` };
    const signals = [signal, patience && AbortSignal.timeout(patience)].filter(Boolean);
    const response = await unreachable(
      fetch(new URL(`.${path}`, ROOT), { method, headers, body, signal: AbortSignal.any(signals) }),
    );
    noteClock(response);
    if (response.ok) return response;
    if (response.status === 401) {
      // Another call may have failed with the same token, and asked for a new one.
      if (sent === sessionStorage.getItem(TOKEN)) await token(sent !== null);
      continue;
    }
    const problem = await response.json().catch(() => ({}));
    throw new Problem(response.status, problem.type, problem.detail ?? (response.statusText || `status ${response.status}`));
  }
}

/** The text that a GET answers, its tag, and the address of the next page, if there is one. */
export async function readPage(path, signal) {
  const response = await call(path, { signal });
  const next = /<[^>]*(\/jobs\?[^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "");
  const etag = response.headers.get("ETag")?.replace(/^W\//, ""); // a proxy that compresses weakens it
  return { text: await unreachable(response.text()), etag, next: next && next[1] };
}

/** The JSON that a GET answers. */
export const read = async (path, signal) => JSON.parse((await readPage(path, signal)).text);

/** The JSON that a POST answers. If it is sent again with the same key, it is not done again. */
export async function post(path, key) {
  const headers = key === undefined ? {} : { "Idempotency-Key": key };
  const response = await call(path, { method: "POST", headers });
  return JSON.parse(await unreachable(response.text()));
}

/** Change what a path has by this JSON text, if it still has the state of this tag. */
export const patch = (path, body, etag) =>
  call(path, {
    method: "PATCH",
    headers: { "Content-Type": "application/json", "If-Match": etag },
    body,
  });

function noteClock(response) {
  const offset = Date.parse(response.headers.get("Date") ?? "") - Date.now();
  if (!Number.isNaN(offset)) clockOffset = Math.abs(offset) < 2000 ? 0 : offset;
}

/** Seconds since this moment of the service's clock. */
export const since = (iso) => Math.max(0, (Date.now() + clockOffset - Date.parse(iso)) / 1000);
