// What a program does with the TypeScript client that was generated; test_typescript.py runs it.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Submission = components["schemas"]["Submission"];

const [url, token] = process.argv.slice(2);
const jobs = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

// Submit, with options, and safely twice.
const submission: Submission = {
  type: "greet",
  payload: { name: "Ada" },
  priority: 2,
  run_at: new Date().toISOString(),
};
const header = { "Idempotency-Key": "typescript-1" };
const submitted = await jobs.POST("/jobs", { body: submission, params: { header } });
assert(submitted.data);
const again = await jobs.POST("/jobs", { body: submission, params: { header } });
assert.equal(again.data?.id, submitted.data.id);
assert.equal(again.data?.replayed, true);

// Wait for its end.
const path = { job_id: submitted.data.id };
const ended = await jobs.GET("/jobs/{job_id}", { params: { path, query: { wait: 30 } } });
assert.equal(ended.data?.status, "completed");
assert.equal(ended.data?.result, "Hello, Ada!");
assert.equal(ended.data?.attempts[0]?.outcome, "completed");
assert.equal(ended.data?.priority, 2);

// What has ended can't be cancelled: a problem, which has a type, too.
const refused = await jobs.POST("/jobs/{job_id}/cancel", { params: { path } });
assert.equal(refused.response.status, 409);
assert.equal(refused.error?.type, "/problems/already-finished");
assert.equal(refused.error?.job_status, "completed");

// Submit and wait in one call, and many at once.
const counted = await jobs.POST("/jobs", {
  body: { type: "draw", payload: { kind: "circle", radius: 2 } },
  params: { query: { wait: 30 } },
});
assert(counted.data && "result" in counted.data);
assert.equal(counted.data.result, "circle");
const batch: Submission[] = [submission, { type: "mail", payload: { to: "a@example.com" } }];
const accepted = await jobs.POST("/jobs/batch", { body: batch });
assert.equal(accepted.data?.ids.length, 2);

// Look around.
const listed = await jobs.GET("/jobs", {
  params: { query: { type: ["greet"], order: "newest", limit: 1 } },
});
assert.equal(listed.data?.[0]?.id, accepted.data?.ids[0]);
const metrics = await jobs.GET("/metrics");
assert(metrics.data && metrics.data.jobs_created >= 4);

// Pause and resume.
const paused = await jobs.POST("/queue/pause", { params: { query: { type: "greet" } } });
assert.deepEqual(paused.data?.paused_types, ["greet"]);
const resumed = await jobs.POST("/queue/resume", { params: { query: { type: "greet" } } });
assert.deepEqual(resumed.data?.paused_types, []);

// What does not fit is found by the compiler, and else by the service.
const misspelt = await jobs.POST("/jobs", {
  // @ts-expect-error: the payload of this type has no such field
  body: { type: "greet", payload: { nam: "Ada" } },
});
assert.equal(misspelt.error?.type, "/problems/invalid-payload");
