/** Runs that answer later by the command line and the admin API alone, on a node with keys. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { startProgram } from "../support/program.js";
import { runSession } from "../support/session.js";
import { until } from "../support/until.js";

it("what is accepted is listed, shown, called off and run again; queues are sent to; and nobody sees another tenant's", async () => {
  const config = tempDir();
  const node = await startProgram(["--admin", "127.0.0.1:0"], { cwd: tempDir(), env: { XDG_CONFIG_HOME: config } });
  await until("the node is in the user's list", () => existsSync(join(config, "pilotlight/nodes.json")));
  const run = (...commands: string[]) => runSession(commands, { XDG_CONFIG_HOME: config, PILOTLIGHT_CACHE: "" }, ROOT);
  const manifest = {
    name: "work",
    component: join(ROOT, "guests/reader/reader.wasm"),
    routes: ["/*"],
    stores: ["default"],
    triggers: [
      { queue: "mails", path: "/echo" },
      { queue: "bad", path: "/trap" },
    ],
  };
  const [deployed] = await run(`pilotlight deploy ${tempDir({ "pilotlight.json": JSON.stringify(manifest) })}`);
  expect(deployed).toMatchObject({ exit: 0 });

  const accepted = await fetch(`${node.origin}/get?keys=a&ms=200`, { headers: { prefer: "respond-async" } });
  const { id } = (await accepted.json()) as { id: string };
  await until("it is done", async () => /state +done/.test((await run(`pilotlight deferred show ${id}`))[0]?.output ?? ""));
  const [listed, json, shown, none] = await run(
    "pilotlight deferred work",
    "pilotlight deferred --state done --json",
    `pilotlight deferred show ${id}`,
    "pilotlight deferred --dead",
  );
  expect(listed?.output).toMatch(/^RUN +TASK +STATE +BY +STARTS +WHEN$/m);
  expect(listed?.output).toMatch(new RegExp(`^${id} +work +done +request GET /get\\?keys=a&ms=200 +1 +20`, "m"));
  expect(JSON.parse(json?.output ?? "")).toMatchObject([{ id, state: "done", status: 200, starts: 1, dead: false }]);
  expect(shown?.output).toMatch(/^starts +at once: /m);
  expect(shown?.output).toMatch(/^now +20.* demand not known × price 1 = 1.00$/m);
  expect(none).toMatchObject({ exit: 0, output: "there are no such runs" });

  const [sent, again, poison, queues, wrong, nothing] = await run(
    `pilotlight deferred send mails '{"to":"ada"}' --idempotency-key k1 --json`,
    `pilotlight deferred send mails '{"to":"ada"}' --idempotency-key k1 --json`,
    "pilotlight deferred send bad hello --json",
    "pilotlight deferred queues --json",
    "pilotlight deferred send males hello",
    "pilotlight deferred send mails",
  );
  const [mail, same, dead] = [sent, again, poison].map((each) => JSON.parse(each?.output ?? "") as { id: string }) as [
    { id: string },
    { id: string },
    { id: string },
  ];
  expect(same.id).toBe(mail.id);
  expect(JSON.parse(queues?.output ?? "")).toMatchObject([
    { name: "bad", task: "work" },
    { name: "mails", task: "work" },
  ]);
  expect(wrong).toMatchObject({
    exit: 1,
    output: 'pilotlight: There is no such thing: There is no queue "males"; there are bad, mails.',
  });
  expect(nothing?.exit).toBe(2);

  const deadOf = async (): Promise<unknown[]> =>
    JSON.parse((await run("pilotlight deferred --dead --json"))[0]?.output ?? "[]") as unknown[];
  await until("it is dead", async () => (await deadOf()).length === 1);
  const [redriven, over, unknown] = await run(
    "pilotlight deferred redrive --dead --queue bad",
    `pilotlight deferred cancel ${id}`,
    "pilotlight deferred show 00000000000000000000000000000000",
  );
  expect(redriven).toMatchObject({ exit: 0, output: "1 wait again" });
  expect(over).toMatchObject({
    exit: 1,
    output: `pilotlight: This contradicts what is there: The run ${id} is done: there is nothing to call off.`,
  });
  expect(unknown?.output).toContain("There is no deferred run 00000000000000000000000000000000.");
  await until("it is dead again", async () => (await deadOf()).length === 1);
  const [refused] = await run(`pilotlight deferred redrive ${id}`);
  expect(refused?.output).toContain(`The run ${id} is done; only what failed, was interrupted or called off is run again.`);
  expect((await run(`pilotlight deferred show ${dead.id}`))[0]?.output).toMatch(/^fault +guest\/trap: /m);

  const [made, other, audit] = await run(
    "pilotlight tenants create acme",
    `pilotlight deferred show ${id} --tenant acme`,
    "pilotlight audit --json",
  );
  expect(made?.exit).toBe(0);
  expect(other).toMatchObject({ exit: 1, output: `pilotlight: There is no such thing: There is no deferred run ${id}.` });
  const deeds = JSON.parse(audit?.output ?? "") as { action: string; before: string }[];
  expect(deeds.find(({ action }) => action === "deferred.redrive")).toMatchObject({ before: "failed" });
}, 120_000);
