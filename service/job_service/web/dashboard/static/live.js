// The one live connection: the stream of events, and a beat once a second while that is open.

import { Problem, Unreachable, call, unreachable } from "./api.js";

const BEAT = 1000; // milliseconds, as all below
const SILENCE = 40_000; // the service sends something every 15 seconds
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;

let due = false;
let wake = null;
let beating = null; // ends the beat that is under way

/**
 * Beat at once, because somebody wants to see something else, or has changed something. A beat that
 * is under way ends without showing what it reads: that is not what is wanted, or may be older than
 * the change.
 */
export function beatNow() {
  due = true;
  beating?.abort();
  wake?.();
}

/**
 * Follow the service and these `events` of it while the page can be seen; a hidden page asks for
 * nothing.
 *
 * `onState` is called with "connecting", "live" or "lost", and with the service's words, if it said
 * why. `onEvent` is called with each event. `onBeat` is called once a second, but not before its
 * last call has ended; it is told whether that was asked for by `beatNow`. If it can't reach the
 * service, the connection counts as lost.
 */
export function connect({ events, onState, onEvent, onBeat }) {
  let visible = null;
  let lastId = null;

  async function follow(signal) {
    let wait = FIRST_WAIT;
    onState("connecting");
    while (!signal.aborted) {
      const attempt = new AbortController();
      const either = AbortSignal.any([signal, attempt.signal]);
      let reason = null;
      try {
        const headers = lastId === null ? {} : { "Last-Event-ID": lastId };
        const path = `/events?event=${events.join(",")}`;
        const response = await call(path, { headers, signal: either, patience: 0 });
        onState("live");
        await Promise.race([
          readEvents(response.body, () => attempt.abort()),
          beat(either, () => (wait = FIRST_WAIT)),
        ]);
      } catch (error) {
        reason = error;
      }
      attempt.abort();
      if (signal.aborted) return;
      if (reason instanceof Problem) onState("lost", reason.message);
      else onState("lost");
      if (reason && !expected(reason)) reportError(reason); // a bug of this page
      await pause(wait, signal);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }
  }

  async function beat(signal, onSuccess) {
    while (!signal.aborted) {
      const asked = due;
      due = false;
      beating = new AbortController();
      const begun = performance.now();
      try {
        await onBeat(AbortSignal.any([signal, beating.signal]), asked);
        onSuccess();
      } catch (error) {
        if (signal.aborted || !beating.signal.aborted) throw error;
      }
      const left = BEAT - (performance.now() - begun);
      if (left > 0 && !due) await pause(left, signal);
    }
  }

  async function readEvents(body, giveUp) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const silence = setTimeout(giveUp, SILENCE);
      const { value, done } = await unreachable(reader.read()).finally(() => clearTimeout(silence));
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) readBlock(block);
    }
  }

  function readBlock(block) {
    let data = null;
    for (const line of block.split("\n")) {
      if (line.startsWith("id: ")) lastId = line.slice(4);
      else if (line.startsWith("data: ")) data = line.slice(6);
    }
    const event = data && JSON.parse(data);
    if (event?.event) onEvent(event); // a reset is none: the next beat reads what it stands for
  }

  function look() {
    if (document.visibilityState === "hidden") {
      visible?.abort();
      visible = null;
    } else if (visible === null) {
      visible = new AbortController();
      follow(visible.signal);
    }
  }

  document.addEventListener("visibilitychange", look);
  look();
}

const expected = (error) =>
  error instanceof Problem ||
  error instanceof Unreachable ||
  error.name === "AbortError";

/** Resolves after so many milliseconds, or earlier at `beatNow` or an abort. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      wake = null;
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
    wake = end;
  });
}
