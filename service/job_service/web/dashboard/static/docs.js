// Reads the page of the API with a token, and puts it into the place of the page that asked for one.

import { call, requireToken } from "./api.js";
import { $, setText } from "./dom.js";

async function show() {
  await requireToken();
  const text = await (await call("/docs")).text();
  const page = new DOMParser().parseFromString(text, "text/html");
  // Its icon stays, or the browser would ask for another one at the root of the host.
  document.title = page.title;
  document.querySelector('link[rel="stylesheet"]').replaceWith(page.querySelector("style"));
  document.body.replaceWith(document.adoptNode(page.body));
  $(location.hash.slice(1))?.scrollIntoView();
  document.querySelector('a[href="openapi.json"]').addEventListener("click", save);
}

/** Save the document, which the browser could not ask for with a token. */
async function save(event) {
  event.preventDefault();
  const body = await (await call("/openapi.json")).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(body);
  link.download = "openapi.json";
  link.click();
  URL.revokeObjectURL(link.href);
}

show().catch((error) => setText($("docs-failed"), `This can't be shown: ${error.message}`));
