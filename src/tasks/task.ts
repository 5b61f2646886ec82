/** A task as it runs: a name of a tenant, and the version that answers under it. */
import type { ComponentInfo } from "../engine/program.js";
import type { ProgramId } from "../engine/engine.js";
import type { Manifest } from "./manifest.js";

/** What a version has for a program until its first run after a start asks for one. */
export const UNLINKED: ProgramId = 0;

/** Immutable: these bytes with this manifest, linked unless `program` is `UNLINKED`. */
export interface Version {
  /** `v7`: the seventh version of its task. */
  readonly label: string;
  /** Undefined while it is not linked: the component has not been looked at then. */
  readonly info: ComponentInfo | undefined;
  readonly manifest: Manifest;
  readonly program: ProgramId;
}

export interface Task {
  readonly tenant: string;
  readonly name: string;
  /** `tenant/name`. */
  readonly key: string;
  readonly version: Version;
}

export function taskKey(tenant: string, name: string): string {
  return `${tenant}/${name}`;
}

/** `v7`. */
export function versionLabel(number: number): string {
  return `v${number}`;
}

/** The number of a label; undefined when it is none. */
export function versionNumber(label: string): number | undefined {
  const number = /^v([1-9]\d{0,7})$/.exec(label)?.[1];
  return number === undefined ? undefined : Number(number);
}
