/** What people name, and which records have read it. */
import { describe, expect, it } from "vitest";
import { prefixDep } from "../../src/memo/deps.js";
import type { RecordTrace } from "../../src/memo/record.js";
import { isReadsText, readsMatch } from "../../src/memo/select.js";
import { fetchedOf, readDep, traceOf } from "./recorded.js";

const TRACES: Readonly<Record<string, RecordTrace>> = {
  "value a": traceOf({ reads: [readDep("value", "acme", "default", "a", 3)] }),
  "value catalogue/7": traceOf({
    reads: [readDep("value", "acme", "other", "x", 1), readDep("value", "acme", "default", "catalogue/7", 3)],
  }),
  "whether catalogue/8": traceOf({ reads: [readDep("exists", "acme", "default", "catalogue/8", 3)] }),
  "all of catalogue/": traceOf({ reads: [prefixDep("acme", "default", "catalogue/", 9)] }),
  "names of the store": traceOf({ reads: [readDep("list", "acme", "default", "m", 9)] }),
  "value of another store": traceOf({ reads: [readDep("value", "acme", "cats", "a", 3)] }),
  "value of another tenant": traceOf({ reads: [readDep("value", "globex", "default", "a", 3)] }),
  "task png": traceOf({ tasks: [["acme/png", "print"]] }),
  "task png of another tenant": traceOf({ tasks: [["globex/png", "print"]] }),
  "address /a/1": traceOf({ fetched: [["acme/thumbs", fetchedOf("https://api.example/a/1")]] }),
  "address of another tenant": traceOf({ fetched: [["globex/png", fetchedOf("https://api.example/a/1")]] }),
  "resource tides": traceOf({ depends: [["acme/thumbs", "tides", "high"]] }),
  "resource of another tenant": traceOf({ depends: [["globex/png", "tides", "high"]] }),
  "resource that is an address": traceOf({ depends: [["acme/thumbs", "https://api.example/a/1", "7"]] }),
  "folder /srv/data": traceOf({ files: [["/srv/data", "state"]] }),
  nothing: traceOf(),
};

const matching = (text: string): string[] =>
  Object.entries(TRACES)
    .filter(([, trace]) => readsMatch(text, "acme")(trace))
    .map(([name]) => name);

describe("readsMatch", () => {
  it.each([
    ["kv:default/a", ["value a", "names of the store"]],
    ["kv:default/catalogue/7", ["value catalogue/7", "all of catalogue/", "names of the store"]],
    ["kv:default/catalogue/*", ["value catalogue/7", "whether catalogue/8", "all of catalogue/", "names of the store"]],
    ["kv:default/cat*", ["value catalogue/7", "whether catalogue/8", "all of catalogue/", "names of the store"]],
    ["kv:default/catalogue/8/*", ["all of catalogue/", "names of the store"]],
    ["kv:default/*", ["value a", "value catalogue/7", "whether catalogue/8", "all of catalogue/", "names of the store"]],
    ["kv:default/b", ["names of the store"]],
    ["kv:cats/*", ["value of another store"]],
    ["kv:none/*", []],
    ["task:png", ["task png"]],
    ["task:p*", ["task png"]],
    ["task:pn", []],
    ["https://api.example/a/1", ["address /a/1", "resource that is an address"]],
    ["https://api.example/*", ["address /a/1", "resource that is an address"]],
    ["https://api.example/a", []],
    ["tides", ["resource tides"]],
    ["ti*", ["resource tides"]],
    ["/srv/data", ["folder /srv/data"]],
    ["*", ["address /a/1", "resource tides", "resource that is an address", "folder /srv/data"]],
  ])("%s", (text, names) => {
    expect(matching(text)).toEqual(names);
  });
});

it("a text that begins with kv: names a store and a key", () => {
  const texts = ["kv:default/a", "kv:default/*", "kv:default/", "tides", "kv:", "kv:default", "kv:/a", ""];
  expect(texts.filter((text) => isReadsText(text))).toEqual(["kv:default/a", "kv:default/*", "kv:default/", "tides"]);
});
