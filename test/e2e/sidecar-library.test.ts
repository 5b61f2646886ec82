/** The sidecars that Pilotlight ships, each through a whole runtime: named in a manifest and nowhere else. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { guestPath } from "../support/guests.js";
import { problemOf, runOf, startRuntime, type StartedRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";

type Sidecars = NonNullable<ManifestInput["sidecars"]>;

const task = (guest: string, sidecars: Sidecars, more: Partial<ManifestInput> = {}) => ({
  manifest: { name: "main", sidecars, ...more },
  component: readFileSync(guestPath(guest)),
});

/**
 * What Pilotlight ships, and the same component deployed as anybody's own: a manifest tells no difference. The name to use, and what
 * has to be deployed first.
 */
const ORIGINS = ["shipped", "added by hand"] as const;
function agent(origin: (typeof ORIGINS)[number], name: string, sidecar: ManifestInput["sidecar"] = {}) {
  if (origin === "shipped") return { use: name, first: [] };
  const use = `my-${name}`;
  const manifest: Omit<ManifestInput, "component"> = { name: use, routes: [], access: "key", sidecar: { scope: "task", ...sidecar } };
  return { use, first: [{ manifest, component: readFileSync(guestPath(name)) }] };
}

const context = (node: StartedRuntime, name: string): Record<string, unknown>[] =>
  node.log.lines.filter((line) => line["context"] === name);

describe.each(ORIGINS)("log-access, %s,", (origin) => {
  it("writes a line for each ending, of refused runs too, in the name of the run", async () => {
    const { use, first: agents } = agent(origin, "log-access");
    const node = await startRuntime([...agents, task("behave-p3", [{ use }], { routes: ["/*"] })]);
    const well = await node.get("/?token=secret", { headers: { "user-agent": "probe" } });
    await node.get("/trap");
    await until("both are told", () => context(node, "access").length === 2);
    const lines = context(node, "access");
    expect(lines.map(({ task: of, sidecar, level }) => [of, sidecar, level])).toEqual([
      ["main", use, 30],
      ["main", use, 40],
    ]);
    expect(lines[0]?.["run"]).toBe(runOf(well));
    const [first, second] = lines.map(({ text }) => JSON.parse(String(text)) as Record<string, unknown>);
    expect(first).toMatchObject({
      run: runOf(well),
      tenant: "default",
      task: "main",
      method: "GET",
      path: "/",
      ending: "ok",
      status: 200,
      agent: "probe",
    });
    expect(second).toMatchObject({ ending: "trap", status: null, path: "/trap" });
  });
});

describe.each(ORIGINS)("log-redact, %s,", (origin) => {
  const { use, first: agents } = agent(origin, "log-redact", { hideRaw: true });

  it("takes patterns out of lines before the log sees them, and nobody else writes them", async () => {
    const config = { patterns: ["a line on [a-z]+"], mask: "***" };
    const node = await startRuntime([...agents, task("behave-p3", [{ use, config }], { routes: ["/*"] })]);
    await (await node.get("/log")).text();
    const redacted = (): Record<string, unknown>[] => node.log.lines.filter((line) => line["sidecar"] === use);
    await until("both lines are there", () => redacted().length === 2);
    expect(
      redacted()
        .map(({ context: origin, text }) => [origin, text])
        .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    ).toEqual([
      ["stderr", expect.stringContaining("***")],
      ["stdout", expect.stringContaining("***")],
    ]);
    expect(JSON.stringify(node.log.lines)).not.toContain("a line on");
  });

  it("is refused where a pattern is none", async () => {
    const node = await startRuntime(agents);
    await expect(node.runtime.deploy(task("hello-p3", [{ use, config: { patterns: ["("] } }]))).rejects.toThrow(
      /sidecars\.0\.config: (my-)?log-redact does not start with this configuration: its start says: .*patterns/,
    );
  });
});

describe.each(ORIGINS)("headers, %s,", (origin) => {
  const { use, first: agents } = agent(origin, "headers");

  it("sets security headers on every answer, and answers for other origins that may ask", async () => {
    const cors = { origins: ["https://a.example"], methods: ["GET", "PUT"], headers: ["x-a"], maxAge: 60 };
    const config = { cors, set: { "x-frame-options": "SAMEORIGIN" } };
    const node = await startRuntime([...agents, task("behave-p3", [{ use, config }], { routes: ["/*"] })]);
    for (const [path, status] of [
      ["/", 200],
      ["/trap", 500],
    ] as const) {
      const answer = await node.get(path, { headers: { origin: "https://a.example" } });
      expect(answer.status).toBe(status);
      expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
      expect(answer.headers.get("x-frame-options")).toBe("SAMEORIGIN");
      expect(answer.headers.get("access-control-allow-origin")).toBe("https://a.example");
      expect(answer.headers.get("vary")?.toLowerCase()).toContain("origin");
    }
    const other = await node.get("/", { headers: { origin: "https://b.example" } });
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
    const preflight = await node.get("/status?code=405", {
      method: "OPTIONS",
      headers: { origin: "https://a.example", "access-control-request-method": "PUT" },
    });
    expect([
      preflight.status,
      preflight.headers.get("access-control-allow-methods"),
      preflight.headers.get("access-control-max-age"),
    ]).toEqual([204, expect.stringContaining("PUT"), "60"]);
  });
});

describe("debug", () => {
  it("tells a caller of the lines so far, for the one request that asks for it", async () => {
    const node = await startRuntime([task("behave-p3", [], { routes: ["/*"] })]);
    const plain = await node.get("/log");
    expect(plain.headers.get("pilotlight-log")).toBeNull();
    await node.idle();
    const asked = await node.get("/log", { headers: { "pilotlight-debug": "1" } });
    expect(asked.headers.get("pilotlight-log")).toMatch(/stdout; -; .*stderr; -; /);
    expect(node.log.lines.filter(({ msg, task: of }) => msg === "run" && of === "debug").length).toBeLessThanOrEqual(1);
    await node.idle();
    await (await node.get("/log")).text();
    await node.idle();
    expect(node.log.lines.filter(({ msg, task: of }) => msg === "run" && of === "debug")).toHaveLength(1);
  });
});

it("a sidecar that is not shipped is none of the node's", async () => {
  const node = await startRuntime([]);
  await expect(node.runtime.deploy(task("hello-p3", [{ use: "auth-saml" }]))).rejects.toThrow("there is no task auth-saml");
  expect(await problemOf(await node.get("/main"))).toMatchObject({ status: 404 });
});
