/** An engine that compiles into a folder, and links what was compiled; 4 MiB are what it compiles everything to. */
import type { SidecarPort } from "../../src/control/programs.js";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/artefacts/components.js";
import type { EngineStats } from "../../src/engine/engine.js";
import { EngineError } from "../../src/engine/native.js";
import type { ComponentInfo, ProgramSpec } from "../../src/engine/program.js";
import { FakeEngine } from "../invoke/fake-engine.js";
import { fakeInfo } from "../tasks/fake-task.js";

const COMPILED = 4 * 2 ** 20;

/** A tenant without any. */
export const NO_SIDECARS: SidecarPort = {
  find: () => undefined,
  names: () => [],
  describe: () => Promise.reject(new Error("there are none")),
  try: () => Promise.resolve(undefined),
};

export class LinkingEngine extends FakeEngine {
  readonly linked: ProgramSpec[] = [];
  readonly weighed: number[] = [];
  loads = 0;
  http: "0.2" | "0.3" = "0.3";
  fails: string | undefined;
  /** Until they are resolved nothing is loaded, or linked. */
  loading: Promise<void> = Promise.resolve();
  linking: Promise<void> = Promise.resolve();
  instances = 0;
  readonly #folder: string | null;

  constructor(folder: string | null) {
    super();
    this.#folder = folder;
  }

  override load = (async (bytes: Uint8Array): Promise<ComponentInfo> => {
    this.loads++;
    await this.loading;
    if (this.fails !== undefined) throw new EngineError(this.fails);
    const digest = digestOf(bytes);
    if (this.#folder !== null) writeFileSync(join(this.#folder, `${digest}-0123456789abcdef.cwasm`), "code");
    return { ...fakeInfo(this.http), digest, compiledBytes: COMPILED };
  }) as never;

  override link = (async (spec: ProgramSpec): Promise<number> => {
    const program = 100 + this.linked.push(spec);
    await this.linking;
    return program;
  }) as never;

  override footprint = (async (program: number): Promise<number> => {
    this.weighed.push(program);
    return 77_000;
  }) as never;

  override stats(): EngineStats {
    return { capacity: 100, instances: this.instances } as EngineStats;
  }
}
