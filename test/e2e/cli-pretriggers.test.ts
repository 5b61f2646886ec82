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

    const refused = await run(
      "pilotlight pretriggers announce nobody 1",
      "pilotlight pretriggers announce work 1000000",
      "pilotlight pretriggers announce work 1 --start 2020-01-01T00:00:00Z",
      "pilotlight pretriggers announce work 1 --in 1s --start 2030-01-01T00:00:00Z",
      "pilotlight pretriggers announce work many",
    );
    expect(refused.map(({ exit, output }) => `${exit} ${output}`)).toEqual([
      "1 pilotlight: There is no such thing: There is no such task.",
      expect.stringMatching(/^1 pilotlight: .*: 1000000 runs are announced; 64 may be prepared for at once\.$/),
      expect.stringMatching(/^1 pilotlight: .*: The window was over .* s ago\.$/),
      expect.stringMatching(/^1 pilotlight: .*: in, start: both say when it begins; leave one of them out\.$/),
      '2 pilotlight: COUNT is "many"; expected a number',
    ]);

    const [told] = await run("pilotlight pretriggers signal opened");
    expect(told).toMatchObject({ exit: 0, output: "the node was told of opened" });
    await fetch(`${node.origin}/work`);
    const list = JSON.parse(readFileSync(join(config, "pilotlight/nodes.json"), "utf8")) as { nodes: { key: string }[] };
    const admin = list.nodes[0]?.key as string;
    for (let i = 0; i < 5; i++) {
      const headers = { "pilotlight-key": admin };
      await fetch(`${node.origin}/-/pretriggers`, { method: "POST", headers, body: '{"signal":"opened"}' });
      await fetch(`${node.origin}/work`);
    }
    const [learnt, forgotten, none, audit] = await run(
      "pilotlight pretriggers",
      "pilotlight pretriggers reset opened",
      "pilotlight pretriggers --json",
      "pilotlight audit --json",
    );
    expect(learnt?.output).toMatch(/^opened +signal +work +100 % of 6 +1\.0 +/m);
    expect(forgotten).toMatchObject({ exit: 0, output: "what follows opened is forgotten" });
    expect(JSON.parse(none?.output ?? "")).toMatchObject({ pairs: [] });
    expect(audit?.output).toContain("pretriggers.reset");

    const [, made] = await run("pilotlight tenants create acme", "pilotlight keys create --tenant acme --scope read --json");
    const { text } = JSON.parse(made?.output ?? "") as { text: string };
    const all = await run(
      `pilotlight pretriggers --tenant acme --key ${text}`,
      `pilotlight pretriggers signal s --tenant acme --key ${text}`,
      `pilotlight pretriggers reset --tenant acme --key ${text}`,
      `pilotlight pretriggers --tenant default --key ${text}`,
    );
    expect(all.map(({ exit }) => exit)).toEqual([0, 1, 1, 1]);
    expect(all[1]?.output).toMatch(/scope invoke/);
    expect(all[2]?.output).toMatch(/scope deploy/);
    expect(all[3]?.output).toMatch(/There is no tenant/);
  },
);
