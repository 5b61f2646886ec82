/** A task as it runs: a name of a tenant, and the version that answers under it. */
import type { ComponentInfo } from "../engine/program.js";
import type { ProgramId } from "../engine/engine.js";
import type { Manifest } from "./manifest.js";

/** Immutable: these bytes with this manifest, linked. */
export interface Version {
  /** Twelve digits of the component's digest; a label until versions are stored. */
  readonly label: string;
  readonly info: ComponentInfo;
  readonly manifest: Manifest;
  readonly program: ProgramId;
}

export interface Task {
  readonly tenant: string;
  readonly name: string;
  readonly version: Version;
}
