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
  it("may be empty", () => expect(readConfig("{}", "file")).toEqual({ tasks: [], node: {}, kv: {} }));

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
      node: { instances: 20_000, threads: 8, drain: "10s" },
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
