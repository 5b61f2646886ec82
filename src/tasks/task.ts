/** A task as it runs: a name of a tenant, and the version that answers under it. */
import type { Manifest } from "./manifest.js";

/** Immutable: these bytes with this manifest. */
export interface Version {
  /** `v7`: the seventh version of its task. */
  readonly label: string;
  readonly manifest: Manifest;
  /** Its number in the pool, the same whether it is linked or not; src/control/programs.ts knows what is behind it. */
  readonly program: number;
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
