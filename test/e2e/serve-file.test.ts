/** `pilotlight serve FILE` as its user and their scripts see it: the address, the signals, and one component on every path. */
import { connect } from "node:net";
import { beforeAll, describe, expect, it } from "vitest";
import { tempDir } from "../support/files.js";
import { guestPath, WASI } from "../support/guests.js";
import { startProgram, type Serving } from "../support/program.js";
import { openWire } from "../support/raw-http.js";
import { until } from "../support/until.js";

describe("a program that serves a file", () => {
  let echo: Serving;
  beforeAll(async () => {
    echo = await startProgram([guestPath("echo-p3"), "--log", "debug"]);
  });

  it("says the address first, on stderr, and nothing else there", () => {
    expect(echo.program.stderr).toBe(`serving ${guestPath("echo-p3")} on ${echo.origin}/\n`);
  });

  it.each(["/", "/info/a%20b?c=%2F&d", "/info", "/-/livez", "/-/runs/1", "/-/nothing"])(
    "gives the component every path, %s too",
    async (path) => {
      const response = await echo.get(path, path.startsWith("/info") ? {} : { method: "POST", body: "to the guest" });
      expect(response.status).toBe(200);
      if (path.startsWith("/info"))
        expect(await response.json()).toMatchObject({ method: "GET", target: path, scheme: "http", authority: `127.0.0.1:${echo.port}` });
      else expect(await response.text()).toBe("to the guest");
    },
  );

  it("logs a line of JSON for each run on stdout", async () => {
    const response = await echo.get("/logged?x=1", { method: "POST", body: "12345", headers: { "x-request-id": "mine" } });
    await response.text();
    const line = await echo.log.run(response.headers.get("pilotlight-run"));
    expect(line).toMatchObject({
      level: 30,
      task: "echo-p3",
      method: "POST",
      path: "/logged?x=1",
      status: 200,
      outcome: "ok",
      // Of a program that takes long to instantiate on a busy machine one is kept ready.
      capacity: expect.stringMatching(/^own\/(linked|ready)$/),
      requestId: "mine",
      bytesIn: 5,
      bytesOut: 5,
    });
    expect(line["runMs"]).toBeGreaterThan(0);
  });
});

it("takes grants, limits and terms of reuse for its component", async () => {
  const folder = tempDir({ "a.txt": "granted" });
  const flags = ["--env", "ONE=1", "--dir", `${folder}::/data`, "--config-var", "k=v", "--limit", "cpu=1s", "--reuse", "maxRequests=2"];
  const counter = await startProgram([guestPath("counter-p2"), ...flags, "--", "argument"]);
  const counts: string[] = [];
  for (let i = 0; i < 3; i++) {
    const response = await counter.get("/");
    counts.push(await response.text());
    // The answer may be there before its instance is free again.
    await counter.log.run(response.headers.get("pilotlight-run"));
  }
  expect(counts).toEqual(["1\n", "2\n", "1\n"]);
});

/** Resolves when nobody listens any more. */
async function refuses(port: number): Promise<void> {
  await until(`connections to ${port} are refused`, async () => {
    const socket = connect(port, "127.0.0.1");
    const code = await new Promise<string | undefined>((resolve) => {
      socket.on("connect", () => resolve(undefined)).on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    socket.destroy();
    return code === "ECONNREFUSED";
  });
}

describe("ending", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("%s lets runs finish, accepts no more, and exits 0", async (signal) => {
    const behave = await startProgram([guestPath("behave-p2")]);
    const idle = await openWire(behave.port);
    const slow = behave.get("/slow?pieces=6&ms=100");
    const answer = await slow;
    behave.program.signal(signal);
    await idle.closed;
    await refuses(behave.port);
    expect(await answer.text()).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n");
    expect((await behave.program.ended).exit).toBe(0);
    expect(behave.log.all({ msg: "run" })).toMatchObject([{ outcome: "ok", path: "/slow?pieces=6&ms=100" }]);
  });

  it("a run that would go on for ever is ended when the time to drain is up", async () => {
    const folder = tempDir({
      "pilotlight.config.json": { tasks: ["t"], node: { drain: "300ms" } },
      "t/pilotlight.json": { name: "t", component: guestPath("behave-p3"), routes: ["/*"] },
    });
    const node = await startProgram(["--admin", "127.0.0.1:0"], { cwd: folder });
    const answer = await node.get("/after-head-hang");
    node.program.signal("SIGTERM");
    expect((await node.program.ended).exit).toBe(0);
    await expect(answer.text()).rejects.toThrow("terminated");
    expect(node.log.all({ msg: "run" })).toMatchObject([{ outcome: "cancelled" }]);
  });

  it("a second signal ends it at once, with another status", async () => {
    const behave = await startProgram([guestPath("behave-p3")]);
    const answer = await behave.get("/after-head-hang");
    behave.program.signal("SIGINT");
    await refuses(behave.port);
    // Within a second it is taken for the same wish: npm and the terminal both send one.
    let ended = false;
    void behave.program.ended.then(() => (ended = true));
    await until(
      "it has ended",
      () => {
        behave.program.signal("SIGINT");
        return ended;
      },
      5000,
    );
    expect((await behave.program.ended).exit).toBe(1);
    await expect(answer.text()).rejects.toThrow("terminated");
  });
});

describe.each(WASI)("WASI %s", (wasi) => {
  it("--outbound lets a component call where it is told to, and * means everything", async () => {
    const echo = await startProgram([guestPath(`echo-${wasi}`)]);
    const url = `${echo.origin}/info/from-a-guest`;
    const ask = async (...outbound: string[]): Promise<[number, string]> => {
      const caller = await startProgram([guestPath(`outbound-${wasi}`), ...outbound.flatMap((origin) => ["--outbound", origin])]);
      const response = await caller.get(`/?url=${url}`);
      const result: [number, string] = [response.status, await response.text()];
      await caller.program.stop();
      return result;
    };
    expect(await ask()).toEqual([502, "HTTP-request-denied"]);
    expect(await ask("*")).toEqual([200, expect.stringContaining('"target":"/info/from-a-guest"')]);
    expect(await ask("https://example.com", echo.origin)).toEqual([200, expect.stringContaining('"target":"/info/from-a-guest"')]);
  });
});
