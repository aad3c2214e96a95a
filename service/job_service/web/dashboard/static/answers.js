// An action whose answer is lost may have been done: that is said, and it can safely be tried again.

import { Problem, post } from "./api.js";

const DRAINING = "/problems/draining";

/** Whether the service has said why it did not do it; all else leaves open what it did. */
export const isRefused = (error) =>
  error instanceof Problem && (error.status < 500 || error.type === DRAINING);

/** What to say of an action that has thrown this. */
export function failureInWords(error) {
  if (isRefused(error)) return `That did not work: ${error.message}.`;
  const isOfTheService = error instanceof Problem && error.type !== undefined;
  const reason = isOfTheService ? `The service says: ${error.message}` : "No answer came";
  return `${reason}. It may have been done all the same. It is safe to try again: nothing is done twice.`;
}

/** The JSON that a POST answers which makes jobs. Until an answer comes, all tries have one key. */
export async function postOnce(path) {
  const name = `key of ${path}`;
  const key = sessionStorage.getItem(name) ?? randomKey();
  const forget = () => sessionStorage.getItem(name) === key && sessionStorage.removeItem(name);
  sessionStorage.setItem(name, key);
  try {
    const answer = await post(path, key);
    forget();
    return answer;
  } catch (error) {
    if (isRefused(error)) forget();
    throw error;
  }
}

/** Also without TLS, where `crypto.randomUUID` is missing. */
const randomKey = () =>
  Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
