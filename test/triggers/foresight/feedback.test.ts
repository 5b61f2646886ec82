/** What becomes of predictions, and what that changes. */
import { describe, expect, it } from "vitest";
import { MiB, Scene } from "./scene.js";

/** The sign comes so often, a tenth of a second apart, and nothing follows. */
function betray(scene: Scene, times: number): Scene {
  for (let i = 0; i < times; i++) scene.run("A").after(100);
  return scene.after(60_000);
}

function retrain(scene: Scene): Scene {
  return scene.train(12, { pause: 1000, delay: 100 });
}

describe("a pair whose predictions", () => {
  it("come true counts hits, late ones and wasted ones, with what they took", () => {
    const scene = new Scene().train(5, { count: 2 });
    scene.costs.set("B", { linkMs: 100, startMs: 100, bytes: 2 * MiB });
    scene.run("A").after(150).run("B").after(350).run("B").after(60_000);
    scene.run("A").after(60_000);
    expect(scene.pair("A", "B")).toMatchObject({ predictions: 2, hits: 1, late: 1, wasted: 1 });
    const { waste } = scene.pair("A", "B") ?? { waste: 0 };
    // Two instances of 2 MiB, for the two seconds or so of its window.
    expect(waste).toBeGreaterThan(4);
    expect(waste).toBeLessThan(12);
    expect(scene.foresight.totals()).toMatchObject({ hits: 1, late: 1, wasted: 2, waste: waste * MiB });
  });

  it("come true a little after the window are late", () => {
    const scene = new Scene().train(12).run("A").after(4000).run("B").after(60_000);
    expect(scene.pair("A", "B")).toMatchObject({ predictions: 8, hits: 7, late: 1, wasted: 0 });
  });

  it("miss switches itself off, and is tried again after a minute", () => {
    const scene = betray(new Scene().train(5), 9);
    expect(scene.pair("A", "B")).toMatchObject({ state: "off", wasted: 9 });
    const off = scene.pair("A", "B")?.offFor ?? 0;
    expect(off).toBeGreaterThan(0);
    expect(off).toBeLessThanOrEqual(60_000);
    retrain(scene);
    scene.after(60_000);
    expect(scene.pair("A", "B")).toMatchObject({ state: "on" });
    expect(scene.run("A").expected("B")).toBe(1);
  });

  it("keep missing is switched off for twice as long each time, up to an hour", () => {
    // With a higher one, it would mostly be no longer acted on before it is switched off.
    const scene = new Scene({ threshold: 0.5 }).train(5);
    const pauses: number[] = [];
    for (let round = 0; round < 9; round++) {
      for (let i = 0; i < 9; i++) scene.run("A").after(100);
      // Until the last of them is over and judged.
      while (scene.pair("A", "B")?.state !== "off") scene.after(100);
      pauses.push(Math.ceil((scene.pair("A", "B")?.offFor ?? 0) / 60_000));
      scene.after(3_600_000);
      retrain(scene).after(60_000);
      // It has come true since, but not often enough to make up for it.
    }
    expect(pauses[0]).toBe(1);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(60);
  });

  it("is off does nothing, and goes on learning", () => {
    const scene = betray(new Scene().train(5), 9);
    const { statements } = scene;
    scene.train(3, { pause: 1000, delay: 100 });
    expect(scene.statements).toBe(statements);
    expect(scene.pair("A", "B")?.occurrences).toBeGreaterThan(14);
  });
});
