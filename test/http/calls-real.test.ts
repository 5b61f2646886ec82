/** What calls over HTTP need a real server and real guests for: clients that leave, and bodies as large as a task allows. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { guestPath } from "../support/guests.js";
import { problemOf, startRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";

const SPIN = "/-/tasks/spin/bench:work/spin@1.0.0/spin";
const JSON_TYPE = { "content-type": "application/json" };

const task = (name: string, limits = {}) => ({ manifest: { name, limits }, component: readFileSync(guestPath(name)) });

it("a call ends when its client leaves", async () => {
  const node = await startRuntime([task("spin", { timeout: "60s", cpu: "60s" })]);
  const client = new AbortController();
  const call = node.get(SPIN, { method: "POST", headers: JSON_TYPE, body: "[4294967295]", signal: client.signal });
  await until("the call runs", () => node.runtime.stats().engine.runs === 1);
  client.abort();
  await expect(call).rejects.toThrow("This operation was aborted");
  await node.idle();
  expect(node.log.lines.find(({ msg }) => msg === "run")).toMatchObject({ task: "spin", outcome: "cancelled" });
}, 30_000);

it("arguments may be as large as the task's requestBody", async () => {
  const node = await startRuntime([task("calc", { requestBody: "100KiB", values: "64MiB" })]);
  const send = (bytes: number): Promise<Response> =>
    node.get("/-/tasks/calc/demo:math/calc/reverse", { method: "POST", headers: JSON_TYPE, body: JSON.stringify(["A".repeat(bytes - 4)]) });
  expect((await send(100 * 1024)).status).toBe(200);
  expect(await problemOf(await send(100 * 1024 + 4))).toEqual({
    status: 413,
    code: "request/body-too-large",
    detail: "limits.requestBody allows 102400 bytes; the request has 102404.",
  });
});

it("JSON that is none is refused with the place in it", async () => {
  const node = await startRuntime([task("calc")]);
  const response = await node.get("/-/tasks/calc/demo:math/calc/add", { method: "POST", headers: JSON_TYPE, body: "[1,\n x]" });
  expect(await problemOf(response)).toEqual({
    status: 400,
    code: "request/invalid-argument",
    detail: "Not JSON: expected value at line 2, column 2.",
  });
});

it("HEAD of a task's openapi.json has no body", async () => {
  const node = await startRuntime([task("calc")]);
  const response = await node.get("/-/tasks/calc/openapi.json", { method: "HEAD" });
  expect([response.status, await response.text()]).toEqual([200, ""]);
});
