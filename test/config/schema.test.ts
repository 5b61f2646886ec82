import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { readConfig } from "../../src/config/schema.js";

function refusal(text: string): string {
  try {
    readConfig(text, "pilotlight.config.json");
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
  throw new Error(`accepted: ${text}`);
}

describe("a configuration", () => {
  it("may be empty", () => expect(readConfig("{}", "file")).toEqual({ tasks: [], node: {}, kv: {}, pools: {}, prices: {}, records: {} }));

  it("may say everything that there is", () => {
    const whole = {
      $schema: "https://pilotlight.dev/config.json",
      tasks: ["examples/hello", "b/pilotlight.json"],
      addr: "0.0.0.0:80",
      admin: "[::1]:8701",
      data: "/var/lib/pilotlight",
      log: "warn",
      insecureAdmin: true,
      hosts: ["edge.example", "[::1]"],
      upload: "5MiB",
      kv: { sync: "always" },
      node: {
        instances: 20_000,
        threads: 8,
        drain: "10s",
        memory: "8GiB",
        lobby: "1GiB",
        overcommit: 4,
        instanceIdle: "20s",
        cellIdle: "2m",
        programIdle: "1h",
        compiled: "5GB",
      },
      pools: {
        shared: { cell: "64MiB", slots: 10, warming: 4 },
        dedicated: { cell: "256MiB", slots: 40, warming: 0 },
        variable: { cell: "128MiB", slots: 20, warming: 1, ceiling: "30%" },
      },
      records: { size: "1GiB", memory: "64MiB" },
      prices: { shared: 1, dedicated: 1.5, variable: [{ from: "22:00", to: "06:00", price: 0.25 }, { price: 0.5 }] },
    };
    expect(readConfig(JSON.stringify(whole), "file")).toEqual(whole);
  });

  it("that is wrong is refused with every field that is, and what would be right", () => {
    const text = JSON.stringify({
      tasks: "x",
      addr: "localhost",
      admin: "h:65536",
      data: "",
      log: "loud",
      node: { instances: 0, threads: 1.5, drain: 3, workers: 2 },
      hosts: ["a.example", "b.example:80"],
      upload: "much",
      kv: { sync: "never" },
      adr: "127.0.0.1:1",
    });
    expect(refusal(text)).toMatchInlineSnapshot(`
      "pilotlight.config.json is not a valid configuration:
        tasks: Invalid input: expected array, received string
        addr: expected HOST:PORT, such as "127.0.0.1:8700"
        admin: ports go up to 65535
        data: Too small: expected string to have >=1 characters
        hosts[1]: expected a host such as "edge.example.com", without port
        upload: expected a size such as "64MiB", "1.5GB" or "512B"
        kv.sync: expected "group" (an answered write survives the process) or "always" (power loss too)
        log: expected one of trace, debug, info, warn, error, fatal, silent
        node.instances: Too small: expected number to be >=1
        node.threads: Invalid input: expected int, received number
        node.drain: Invalid input: expected string, received number
        node.workers: unknown field
        adr: unknown field"
    `);
  });

  it("whose capacity is wrong is refused by each field", () => {
    const text = JSON.stringify({
      node: { memory: "8", lobby: "0B", overcommit: 0.5, instanceIdle: "0s", cellIdle: 60, compiled: "much" },
      pools: {
        shared: { cell: 64, ceiling: "5%" },
        dedicated: { warming: 1 },
        variable: { slots: 0, warming: -1, ceiling: "130%" },
        spare: {},
      },
      prices: { shared: -1, dedicated: [{ from: "24:00", to: "6:00", price: 1 }], variable: "cheap" },
    });
    expect(refusal(text)).toMatchInlineSnapshot(`
      "pilotlight.config.json is not a valid configuration:
        node.memory: expected a size such as "64MiB", "1.5GB" or "512B"
        node.lobby: expected a size such as "64MiB", "1.5GB" or "512B"
        node.overcommit: Too small: expected number to be >=1
        node.instanceIdle: expected a duration such as "250ms", "10s", "15m" or "1h"
        node.cellIdle: expected a duration such as "250ms", "10s", "15m" or "1h"
        node.compiled: expected a size such as "64MiB", "1.5GB" or "512B"
        pools.shared.cell: expected a size such as "64MiB", "1.5GB" or "512B"
        pools.shared.ceiling: unknown field
        pools.dedicated.warming: dedicated cells always have a tenant, so there are none to keep without; leave it out
        pools.variable.slots: Too small: expected number to be >=1
        pools.variable.warming: Too small: expected number to be >=0
        pools.variable.ceiling: expected a share such as "25%", from "0%" to "100%"
        pools.spare: unknown field
        prices.shared: expected 0 or more
        prices.dedicated[0].from: expected a local time of day such as "06:30"
        prices.dedicated[0].to: expected a local time of day such as "06:30"
        prices.variable: expected a number, or a list such as [{ "from": "22:00", "to": "06:00", "price": 0.5 }, { "price": 1 }]"
    `);
  });

  it.each([
    ["0", "node.instances: Too small: expected number to be >=1"],
    ["20001", "node.instances: Too big: expected number to be <=20000"],
  ])("with %s instances is refused", (instances, line) => expect(refusal(`{"node":{"instances":${instances}}}`)).toContain(line));

  it.each(["[]", "null", '"text"', "3"])("that is %s is refused", (text) =>
    expect(refusal(text)).toMatch(
      /^pilotlight\.config\.json is not a valid configuration:\n {2}the document: Invalid input: expected object, /,
    ),
  );

  it("that names no task in its list of tasks is refused by its place", () => {
    expect(refusal('{"tasks":["a",""]}')).toMatchInlineSnapshot(`
      "pilotlight.config.json is not a valid configuration:
        tasks[1]: Too small: expected string to have >=1 characters"
    `);
  });

  it.each(["{", "", '{"a":1,}', "tasks: []"])("that is not JSON (%j) is refused with the file's name and the reason", (text) =>
    expect(refusal(text)).toMatch(/^pilotlight\.config\.json is not valid JSON: ./),
  );
});
