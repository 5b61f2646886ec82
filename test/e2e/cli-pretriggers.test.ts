/** What is foreseen and announced, by the command line and the admin API alone, on a node with keys. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { startProgram } from "../support/program.js";
import { runSession } from "../support/session.js";
import { until } from "../support/until.js";

it(
  "what is announced is listed, taken back and refused in words; what is learnt is shown and forgotten; each for who may",
  { timeout: 60_000 },
  async () => {
    const config = tempDir();
    const node = await startProgram(["--admin", "127.0.0.1:0"], { cwd: tempDir(), env: { XDG_CONFIG_HOME: config } });
    await until("the node is in the user's list", () => existsSync(join(config, "pilotlight/nodes.json")));
    const run = (...commands: string[]) => runSession(commands, { XDG_CONFIG_HOME: config, PILOTLIGHT_CACHE: "" }, ROOT);
    const manifest = { name: "work", component: join(ROOT, "guests/hello-p2/hello-p2.wasm"), routes: ["/work"] };
    const [empty, deployed] = await run(
      "pilotlight pretriggers",
      `pilotlight deploy ${tempDir({ "pilotlight.json": JSON.stringify(manifest) })}`,
    );
    expect(empty).toMatchObject({ exit: 0, output: "nothing is known to follow anything yet" });
    expect(deployed).toMatchObject({ exit: 0 });

    const [announced, later, listed, json] = await run(
      "pilotlight pretriggers announce work 3 --window 30s --idempotency-key three",
      "pilotlight pretriggers announce work 2 --in 1h --confidence 0.8 --json",
      "pilotlight pretriggers",
      "pilotlight pretriggers --json",
    );
    expect(announced).toMatchObject({ exit: 0, output: "announced as three" });
    const { key } = JSON.parse(later?.output ?? "") as { key: string };
    expect(listed?.output).toMatch(/^ANNOUNCED +BY +TASK +CAME +WHEN +BELIEVED +STATE$/m);
    expect(listed?.output).toMatch(/^three +key:\S+ +work +0 of 3 +20\S+ – 20\S+ +100 % +active$/m);
    expect(JSON.parse(json?.output ?? "")).toMatchObject({
      announcements: [{ key: "three" }, { key, task: "work", count: 2, confidence: 0.8, state: "planned" }],
      expected: [{ task: "work", count: 3, depth: "ready" }],
    });
    for (let i = 0; i < 3; i++) expect((await fetch(`${node.origin}/work`)).status).toBe(200);
    const [, came] = await run("pilotlight pretriggers announce work 0 --idempotency-key three", "pilotlight pretriggers");
    expect(came?.output).toMatch(/^STARTED +PREPARED \(P50, P99\) +NOT PREPARED \(P50, P99\)$/m);
    expect(came?.output).toMatch(/^work +\S+ ms, \S+ ms of 3 +/m);
    expect(came?.output).not.toMatch(/^three /m);

    const [nobody, many] = await run("pilotlight pretriggers announce nobody 1", "pilotlight pretriggers announce work many");
    expect(nobody).toMatchObject({ exit: 1, output: "pilotlight: There is no such thing: There is no such task." });
    expect(many).toMatchObject({ exit: 2, output: 'pilotlight: COUNT is "many"; expected a number' });
    const list = JSON.parse(readFileSync(join(config, "pilotlight/nodes.json"), "utf8")) as { nodes: { url: string; key: string }[] };
    const { url, key: admin } = list.nodes[0] as { url: string; key: string };
    const ask = async (method: string, tenant: string, body?: object, shown = admin): Promise<string> => {
      const headers = { "pilotlight-key": shown, ...(body && { "content-type": "application/json" }) };
      const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
      const response = await fetch(new URL(`v1/tenants/${tenant}/pretriggers`, url), init);
      return `${response.status} ${response.ok ? await response.text() : ((await response.json()) as { detail: string }).detail}`;
    };
    const one = { task: "work", count: 1 };
    const either = '422 expected { "task": NAME, "count": N } or { "signal": NAME }.';
    expect(await ask("POST", "default", { ...one, count: 1e6 })).toMatch(/^422 1000000 runs are announced; 64 may be prepared/);
    expect(await ask("POST", "default", { ...one, start: "2020-01-01T00:00:00Z" })).toMatch(/^422 The window was over .* s ago\.$/);
    expect(await ask("POST", "default", { ...one, in: "1s", start: "2030-01-01T00:00:00Z" })).toMatch(/^422 in, start: both say/);
    expect(await ask("POST", "default", { ...one, signal: "opened" })).toBe(either);
    expect(await ask("POST", "default", { key: "k" })).toBe(either);
    expect(await ask("POST", "default", { ...one, windows: "2s" })).toMatch(/^422 .*windows: unknown field/);

    const [told] = await run("pilotlight pretriggers signal opened");
    expect(told).toMatchObject({ exit: 0, output: "the node was told of opened" });
    await fetch(`${node.origin}/work`);
    for (let i = 0; i < 5; i++) {
      const headers = { "pilotlight-key": admin };
      await fetch(`${node.origin}/-/pretriggers`, { method: "POST", headers, body: '{"signal":"opened"}' });
      await fetch(`${node.origin}/work`);
    }
    const [learnt, forgotten, audit] = await run(
      "pilotlight pretriggers",
      "pilotlight pretriggers reset opened",
      "pilotlight audit --json",
    );
    expect(learnt?.output).toMatch(/^opened +signal +work +100 % of 6 +1\.0 +/m);
    expect(forgotten).toMatchObject({ exit: 0, output: "what follows opened is forgotten" });
    expect(await ask("GET", "default")).toMatch(/^200 \{"pairs":\[\],/);
    expect(audit?.output).toContain("pretriggers.reset");

    const [, made] = await run("pilotlight tenants create acme", "pilotlight keys create --tenant acme --scope read --json");
    const { text } = JSON.parse(made?.output ?? "") as { text: string };
    const [seen] = await run(`pilotlight pretriggers --tenant acme --key ${text}`);
    expect(seen).toMatchObject({ exit: 0, output: "nothing is known to follow anything yet" });
    expect(await ask("POST", "acme", { signal: "opened" }, text)).toMatch(/^403 .*scope invoke/);
    expect(await ask("DELETE", "acme", undefined, text)).toMatch(/^403 .*scope deploy/);
    // Another tenant, and its tasks, are not there for it.
    for (const [method, body] of [["GET"], ["POST", { signal: "opened" }], ["DELETE"]] as const)
      expect(await ask(method, "default", body, text)).toBe("404 There is no tenant default.");
    expect(await ask("POST", "acme", one)).toBe("404 There is no such task.");
  },
);
