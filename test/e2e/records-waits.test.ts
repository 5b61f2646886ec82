/** What happens while a request waits, for its body, for another's run or for what a record has read. */
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { guestTask } from "../support/guests.js";
import { until } from "../support/until.js";
import { hit, reader, recordsNode, type RecordsNode } from "./records-node.js";

const SLOW = "/get?keys=a&ms=400";

const HALF = "h".repeat(100_000);

/** The head of a POST and half of its body, which is too long to be read before its run begins. */
function begun(node: RecordsNode, path = "/echo"): Socket {
  const socket = connect(node.port, "127.0.0.1");
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\nConnection: close\r\n\r\n${HALF}`);
  return socket;
}

async function rest(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (bytes: Buffer) => (text += bytes.toString()));
  socket.write(HALF);
  await once(socket, "close");
  return text;
}

/** A request that goes on, and one that waits for it. */
async function two(node: RecordsNode): Promise<readonly [ReturnType<RecordsNode["ask"]>, ReturnType<RecordsNode["ask"]>]> {
  const first = node.ask(SLOW);
  await until("it runs", () => node.ran("ms=400") === 1);
  const second = node.ask(SLOW);
  await until("the other waits", () => node.runtime.stats().liveRuns === 2);
  return [first, second];
}

describe("a deploy", () => {
  it("takes nothing from those who wait for an equal request's run, which comes to no record", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    const [first, second] = await two(node);
    await node.runtime.deploy(reader({ config: { version: "2" } }));
    await node.put("a", "2");
    expect(await first).toMatchObject({ status: 200, text: "a=1" });
    expect(await second).toMatchObject({ status: 200, text: "a=2" });
    expect(await node.ask(SLOW)).toMatchObject({ status: 200, how: "miss" });
    await node.idle();
  });

  it("takes nothing from those whose bodies are still read; those run, and leave no record", async () => {
    const node = await recordsNode();
    const socket = begun(node);
    await until("it waits", () => node.runtime.stats().liveRuns === 1);
    await node.runtime.deploy(reader({ config: { version: "2" } }));
    const answer = await rest(socket);
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer.toLowerCase()).toContain('cache-status: pilotlight; fwd=bypass; detail="replaced"');
    expect(answer).toContain("hhhh");
    await node.idle();
  });
});

describe("a sidecar that serves an import", () => {
  it("and is replaced while the run waits leaves no record: the run is served by the one that its key does not know", async () => {
    const rates = (version: string): ReturnType<typeof guestTask> =>
      guestTask("reader", { name: "rates", routes: [], sidecar: { scope: "tenant" }, stores: ["default"], config: { version } });
    const asker = guestTask("asker", {
      name: "asker",
      routes: ["/*"],
      stores: ["default"],
      idempotent: { allow: ["imports"] },
      sidecars: [{ use: "rates" }],
    });
    const node = await recordsNode([rates("1"), asker]);
    const socket = begun(node, "/get?keys=a");
    await until("it waits", () => node.runtime.stats().liveRuns === 1);
    await node.runtime.deploy(rates("2"));
    expect((await rest(socket)).toLowerCase()).toContain('cache-status: pilotlight; fwd=bypass; detail="replaced"');
  });
});

describe("what waits", () => {
  it("is a run that can be asked about and ended by its id, and ends with the node", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    const socket = begun(node);
    await until("it waits", () => node.runtime.stats().liveRuns === 1);
    const closing = node.runtime.close(100);
    await closing;
    expect(await node.log.first({ msg: "run", method: "POST" })).toMatchObject({ outcome: "cancelled" });
    socket.destroy();
  });
});

describe("a run that began before its answer was done away with leaves no record", () => {
  it("where another has been forced since", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    const older = node.ask(SLOW);
    await until("it runs", () => node.ran("ms=400") === 1);
    const forced = await node.ask(SLOW, { headers: { "cache-control": "no-cache" } });
    const first = await older;
    expect(await node.log.run(first.run)).toMatchObject({ record: "miss", recorded: "superseded" });
    expect((await hit(node, SLOW)).cache).toContain(`run ${forced.run}`);
  });

  it("where records have been purged since", async () => {
    const node = await recordsNode();
    const { control, operator } = node.runtime;
    await node.put("a", "1");
    const older = node.ask(SLOW);
    await until("it runs", () => node.ran("ms=400") === 1);
    expect(await control.purgeRecords(operator, "default", { task: "reader" })).toEqual({ purged: 0 });
    const first = await older;
    expect(await node.log.run(first.run)).toMatchObject({ recorded: "superseded" });
    expect((await node.ask(SLOW)).how).toBe("miss");
    await hit(node, SLOW);
  });
});

describe("what a guest sees of a request", () => {
  it("has the length of its body, whatever was said of that", async () => {
    const node = await recordsNode();
    // What comes by `fetch` no parser has compared with its length.
    const lying = new Request("http://x/echo", { method: "POST", body: "half", headers: { "content-length": "400000" } });
    expect(await (await node.runtime.fetch(lying)).text()).toContain("content-length: 4\n");
  });
});
