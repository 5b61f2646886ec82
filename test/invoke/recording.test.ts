/** What recordings may hold, and whose it is. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Recording, type Rooms } from "../../src/invoke/recording.js";
import { Room } from "../../src/invoke/room.js";
import { readManifest } from "../../src/tasks/manifest.js";
import { fakeTask } from "../tasks/fake-task.js";
import { Workbench } from "./workbench.js";

const policy = readManifest({ name: "a", component: "a.wasm", idempotent: {} }, "a").idempotent as NonNullable<
  ReturnType<typeof readManifest>["idempotent"]
>;

function recording(rooms: Rooms): { readonly recording: Recording; readonly comes: (bytes: number) => void } {
  const bench = new Workbench();
  const run = bench.submit(bench.deploy(fakeTask("a")));
  const made = new Recording(run, { key: "k", print: "p", policy, at: 0, began: 1, largest: 1000, rooms, came() {} });
  const comes = (bytes: number): void => made.event(run, { kind: "chunk", run: run.handle, bytes: Buffer.alloc(bytes) });
  return { recording: made, comes };
}

describe("a recording", () => {
  const rooms = (): Rooms => ({ answers: new Room(1000), ahead: new Room(400) });

  it("is made ahead of its client while there is room for that, which is given back as the client takes it", () => {
    const shared = rooms();
    const { recording: made, comes } = recording(shared);
    comes(150);
    expect([made.ahead(), shared.ahead.held]).toEqual([150, 150]);
    expect([made.ahead(), shared.ahead.held]).toEqual([0, 150]);
    comes(100);
    expect([made.ahead(), shared.ahead.held]).toEqual([undefined, 150]);
    expect([made.taken(120), shared.ahead.held]).toEqual([0, 30]);
    expect([made.ahead(), shared.ahead.held]).toEqual([100, 130]);
    expect([made.taken(130), made.taken(5), shared.ahead.held]).toEqual([0, 5, 0]);
  });

  it("holds nothing ahead for a client that has left, and needs no room for one that takes nothing", () => {
    const shared = rooms();
    const { recording: made, comes } = recording(shared);
    comes(150);
    made.ahead();
    made.gone();
    made.isUnread = true;
    comes(300);
    expect([made.ahead(), shared.ahead.held]).toEqual([300, 0]);
  });

  it("that finds no room comes to nothing, and what it held is there for others", () => {
    const shared = rooms();
    const [one, other] = [recording(shared), recording(shared)];
    one.comes(400);
    other.comes(200);
    expect([one.recording.obstacle, other.recording.obstacle, shared.answers.held]).toEqual([undefined, "busy", 400]);
    one.recording.letGo();
    one.recording.letGo();
    expect(shared.answers.held).toBe(0);
  });

  it("knows each version of a task that was called", () => {
    const { recording: made } = recording(rooms());
    for (const print of ["p", "q", "p"]) made.calls("acme/b", print);
    expect(made.tasks).toEqual([
      ["acme/b", "p"],
      ["acme/b", "q"],
    ]);
  });
});

it("a room never holds more than it may, and a tenant that has nothing always finds some", () => {
  const act = fc.record({ tenant: fc.integer({ min: 0, max: 5 }), bytes: fc.integer({ min: -300, max: 300 }) });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const room = new Room(1000);
      const has = new Map<string, number>();
      for (const { tenant, bytes } of acts) {
        const name = String(tenant);
        const own = has.get(name) ?? 0;
        if (bytes < 0) {
          const back = Math.min(own, -bytes);
          room.giveBack(name, back);
          has.set(name, own - back);
        } else if (room.take(name, bytes)) has.set(name, own + bytes);
        const sum = [...has.values()].reduce((total, each) => total + each, 0);
        expect(room.held).toBe(sum);
        expect(sum).toBeLessThan(1000);
      }
      const left = 1000 - room.held;
      expect(room.take("new", Math.floor(left / 2))).toBe(true);
    }),
  );
});
