// oxlint-disable-next-line typescript/triple-slash-reference -- ambient modules: there is nothing to import
/// <reference path="../../wit/types/wasi.d.ts" />
/** Configuration and secrets of the task, over `wasi:config/store`. Part of `pilotlight/guest`. */
import { get, getAll } from "wasi:config/store@0.2.0-rc.1";
import { asking, expectText, type HostError } from "./boundary.js";

/**
 * What the manifest says under `config`, and the values of the secrets that it names under `secrets`: one name, one text.
 *
 * They are those of the version that runs, so they are the same for as long as it does. They are there once a request
 * has come; the module's top level runs while the component is built, and has none.
 */
export const config = {
  /** Undefined when the manifest has no such name. */
  get(name: string): string | undefined {
    expectText("config.get", "name", name);
    return asking(() => get(name), unreadable) ?? undefined;
  },

  /** All of them by name, secrets too: not for an answer or a log. */
  all(): Record<string, string> {
    return Object.fromEntries(asking(getAll, unreadable));
  },
};

function unreadable({ val }: HostError, because: ErrorOptions): Error {
  return new Error(`the configuration cannot be read: ${String(val)}`, because);
}
