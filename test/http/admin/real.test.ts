/** The admin API over the control plane of a whole runtime, with real components; `suite.ts` says what holds. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { guestPath } from "../../support/guests.js";
import { startRuntime, type StartedRuntime } from "../../support/runtime.js";
import { until } from "../../support/until.js";
import { follow, startAdmin, uploadForm } from "./client.js";
import { adminSuite, type AdminSubject } from "./suite.js";

const HELLO = readFileSync(guestPath("hello-p2"));

async function start(): Promise<AdminSubject & { started: StartedRuntime }> {
  const started = await startRuntime([]);
  const { control, operator } = started.runtime;
  const { text: rootKey } = await control.issueKey(operator, undefined, { scopes: ["admin"] });
  return { started, control, rootKey, components: [HELLO, readFileSync(guestPath("hello-p3"))] };
}

adminSuite("the control plane of a runtime", start);

it("what was uploaded answers, a wrong component is told why, and its runs are told to followers", async () => {
  const { started, control, rootKey } = await start();
  const admin = await startAdmin(control, {}, rootKey);
  const path = "tenants/default/tasks/hello/versions";
  const manifest = { name: "hello", component: "hello.wasm" };
  const wrong = await admin.ask(`POST ${path}`, { body: uploadForm(manifest, Buffer.from("not wasm")) });
  expect(wrong.json).toMatchObject({ status: 422, detail: expect.stringMatching(/^the component: /) });
  expect((await admin.ask(`POST ${path}`, { body: uploadForm({ ...manifest, colour: "red" }, HELLO) })).json.errors).toEqual([
    { path: "manifest.colour", detail: "unknown field" },
  ]);
  expect((await admin.ask(`POST ${path}`, { body: uploadForm(manifest, HELLO) })).status).toBe(201);
  const follower = await follow(admin, rootKey, "&task=hello");
  expect((await started.get("/hello")).status).toBe(200);
  await until("the run is told", () => follower.texts().length > 0);
  expect(follower.texts()).toEqual([expect.stringMatching(/^GET \/hello 200 ok /)]);
  expect(admin.reported).toEqual([]);
});
