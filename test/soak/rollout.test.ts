/** The rollout soak in short, and that it would find what it looks for in a node that gets it wrong. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { judge, type Era } from "../../bench/soak/rollout/judge.js";
import { runRollout, type Loaded } from "../../bench/soak/rollout/soak.js";
import { numberIn, textOf } from "../../bench/soak/support/numbered.js";

it("finds no failed request and no wrong version while a real node's tasks change", { timeout: 60_000 }, async () => {
  const { found, changes, requests, split, sticky } = await runRollout({
    steps: 5,
    seed: 20261125,
    calibrate: 1,
    connections: 16,
    splitMs: 500,
  });
  expect(found).toEqual([]);
  expect(Object.keys(changes).sort()).toEqual(
    ["come and go", "delete", "deploy", "deploy again", "roll back to", "rollback", "secret", "split", "sticky"].sort(),
  );
  expect(requests).toBeGreaterThan(500);
  expect(Math.min(split, sticky)).toBeGreaterThan(0);
});

const short = { steps: 2, seed: 1, calibrate: 0.4, connections: 8, splitMs: 300, givenBackMs: 200 };

it.each<[Fault, RegExp]>([
  ["moves after it answered", /was answered by \d+, and the alias led to \d/],
  ["refuses while it moves", /it was answered "HTTP\/1\.1 503 /],
  ["hangs up while it moves", /the connection was closed without an answer/],
  ["shares evenly", /answers were \d+'s, with a weight of 90 of 100/],
  ["forgets who came", /^user-\d+ was answered by \d+ and by \d+ while the weights stayed/],
  ["keeps programs", /9 programs are linked 0.2 s after the last request/],
])("would find a node that %s", { timeout: 60_000 }, async (fault, reason) => {
  const { found } = await runRollout({ ...short, start: () => fakeNode(fault) });
  expect(found.map(({ message }) => message)).toContainEqual(expect.stringMatching(reason));
});

it("has nothing against a node that does none of this", { timeout: 60_000 }, async () => {
  const { found, split, sticky } = await runRollout({ ...short, start: () => fakeNode("does nothing wrong") });
  expect(found).toEqual([]);
  expect(Math.min(split, sticky)).toBeGreaterThan(0);
});

it("lets an answer be of any version that the alias led to during the request, and of no other", () => {
  const era = (number: number, asked: number, answered: number): Era => ({
    what: `to ${number}`,
    targets: new Map([[number, 1]]),
    sticky: false,
    asked,
    answered,
  });
  const eras = [era(1, 0, 1), era(2, 10, 12), era(3, 20, 22)];
  const verdict = (sent: number, ended: number, number: number): number =>
    judge([{ sent, ended, user: 0, number, failure: undefined }], eras).failures.length;
  expect([verdict(5, 9, 1), verdict(5, 9, 2)]).toEqual([0, 1]);
  expect([verdict(11, 11, 1), verdict(11, 11, 2), verdict(11, 11, 3)]).toEqual([0, 0, 1]);
  expect([verdict(13, 19, 1), verdict(13, 19, 2)]).toEqual([1, 0]);
  expect([1, 2, 3].map((number) => verdict(5, 25, number))).toEqual([0, 0, 0]);
  expect(judge([{ sent: 5, ended: 9, user: 0, number: undefined, failure: "ECONNRESET" }], eras).failures).toEqual([
    { at: 5, what: "to 1", message: "ECONNRESET" },
  ]);
});

type Fault =
  | "does nothing wrong"
  | "moves after it answered"
  | "refuses while it moves"
  | "hangs up while it moves"
  | "shares evenly"
  | "forgets who came"
  | "keeps programs";

/** The little of a node that the soak uses, with something wrong. */
async function fakeNode(fault: Fault): Promise<Loaded> {
  interface Led {
    readonly targets: Readonly<Record<string, number>>;
    readonly sticky?: string | undefined;
  }
  interface Task {
    readonly versions: Set<string>;
    /** Also of versions that are gone. */
    readonly numbers: Map<string, number>;
    last: number;
    led: Led;
    previous: Led;
  }
  const tasks = new Map<string, Task>();
  let moving = false;

  const server = createServer((request, response) => {
    void (async () => {
      const say = (status: number, document: unknown = ""): void => {
        const text = typeof document === "string" ? document : JSON.stringify(document);
        const type = typeof document === "string" ? "text/plain" : "application/json";
        response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) }).end(text);
      };
      const [, v1, , , list, name = "", what, which = "", rollback] = (request.url as string).split("/");
      if (v1 === "metrics")
        return say(
          200,
          `pilotlight_programs ${fault === "keeps programs" ? 9 : Object.keys(tasks.get("rollout")?.led.targets ?? {}).length}\n`,
        );
      if (v1 !== "v1") return answer(v1 as string, request, say, () => request.socket.destroy());
      const body = await bodyOf(request);
      if (list === "secrets") return say(200);
      const task = tasks.get(name);
      if (what === undefined) {
        tasks.delete(name);
        return say(204);
      }
      if (request.method === "POST" && what === "versions") return upload(name, body, say);
      if (task === undefined) return say(404);
      if (what === "aliases") {
        if (request.method === "GET") return say(200, task.led);
        const input = JSON.parse(body === "" ? "{}" : body) as Led & { readonly to?: string };
        await move(task, rollback === undefined ? input : input.to === undefined ? task.previous : { targets: { [input.to]: 1 } });
        return say(200, {});
      }
      if (request.method === "GET") return say(task.versions.has(which) ? 200 : 404);
      if (Object.hasOwn(task.led.targets, which)) return say(409);
      task.versions.delete(which);
      return say(204);
    })();
  });

  const answer = (name: string, request: IncomingMessage, say: (status: number, text?: string) => void, hangUp: () => void): void => {
    const task = tasks.get(name);
    if (task === undefined) return say(404);
    if (moving && name === "rollout") {
      if (fault === "refuses while it moves") return say(503);
      if (fault === "hangs up while it moves") return hangUp();
    }
    const entries = Object.entries(task.led.targets);
    const weights = entries.map(([, weight]) => (fault === "shares evenly" && task.led.sticky === undefined ? 1 : weight));
    const user = Number(/\d+$/.exec(String(request.headers["x-user"]))?.[0] ?? 0);
    const follows = task.led.sticky !== undefined && fault !== "forgets who came";
    let at = (follows ? (Math.imul(user, 2_654_435_761) >>> 0) / 2 ** 32 : Math.random()) * weights.reduce((a, b) => a + b, 0);
    const [label] = entries.find((_, i) => (at -= weights[i] as number) < 0) as [string, number];
    say(200, textOf(task.numbers.get(label) as number));
  };

  const upload = async (name: string, body: string, say: (status: number, document: unknown) => void): Promise<void> => {
    const task = tasks.get(name) ?? {
      versions: new Set<string>(),
      numbers: new Map<string, number>(),
      last: 0,
      led: { targets: {} },
      previous: { targets: {} },
    };
    tasks.set(name, task);
    const number = numberIn(body) as number;
    const same = [...task.versions].find((label) => task.numbers.get(label) === number);
    const label = same ?? `v${++task.last}`;
    task.versions.add(label);
    task.numbers.set(label, number);
    if (/name="alias"\r\n\r\nlive/.test(body)) await move(task, { targets: { [label]: 1 } });
    say(same === undefined ? 201 : 200, { version: label });
  };

  const move = async (task: Task, led: Led): Promise<void> => {
    const apply = (): void => {
      task.previous = task.led;
      task.led = led;
    };
    if (fault === "moves after it answered" && Object.keys(task.led.targets).length > 0) return void setTimeout(apply, 50);
    moving = Object.keys(task.led.targets).length > 0;
    await sleep(20);
    moving = false;
    apply();
  };

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address: { data: origin, admin: origin, key: "pl_none" },
    finish: async () => [],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("latin1");
}
