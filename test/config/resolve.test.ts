import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { USUAL_PRICES } from "../../src/config/prices.js";
import { parseAddress, resolveConfig, type NodeConfig, type NodeFlags } from "../../src/config/resolve.js";

/** A working folder with these files in it. */
function folder(files: Readonly<Record<string, unknown>> = {}): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "pilotlight-config-")));
  onTestFinished(() => rmSync(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, ".."), { recursive: true });
    writeFileSync(join(path, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return path;
}

const MiB = 2 ** 20;
const GiB = 2 ** 30;

const config = (file: unknown, flags: NodeFlags = {}): NodeConfig => resolveConfig(flags, folder({ "pilotlight.config.json": file }));

describe("what flags and file mean together", () => {
  it("without either is a node without tasks on its usual addresses", () => {
    const cwd = folder();
    const cells = { cellBytes: 128 * MiB, cellSlots: 15 };
    expect(resolveConfig({}, cwd, 16 * GiB)).toEqual({
      addr: { host: "127.0.0.1", port: 8700 },
      admin: { host: "127.0.0.1", port: 8701 },
      data: join(cwd, ".pilotlight"),
      log: "info",
      tasks: [],
      instances: 1000,
      threads: 0,
      drainMs: 30_000,
      sync: "group",
      uploadBytes: 100 * 2 ** 20,
      insecureAdmin: false,
      hosts: undefined,
      capacity: {
        budgetBytes: 8 * GiB,
        lobbyBytes: GiB,
        pools: { shared: { ...cells, warming: 2 }, dedicated: { ...cells, warming: 0 }, variable: { ...cells, warming: 0 } },
        overcommit: 8,
        variableCeiling: 0.5,
        instanceIdle: 300_000,
        cellIdle: 360_000,
        programIdle: 86_400_000,
        forecast: true,
      },
      prices: USUAL_PRICES,
      records: { bytes: 256 * 2 ** 20, memoryBytes: 32 * 2 ** 20 },
      compiledBytes: 10 * GiB,
    });
  });

  it("is what the file says, where no flag says otherwise", () => {
    expect(config({ addr: "h:1", admin: "h:2", log: "warn", node: { instances: 5, threads: 2, drain: "1500ms" } })).toMatchObject({
      addr: { host: "h", port: 1 },
      admin: { host: "h", port: 2 },
      log: "warn",
      instances: 5,
      threads: 2,
      drainMs: 1500,
    });
    expect(config({ kv: { sync: "always" }, upload: "5MiB", insecureAdmin: true, hosts: ["edge.example"] })).toMatchObject({
      sync: "always",
      uploadBytes: 5 * 2 ** 20,
      insecureAdmin: true,
      hosts: ["edge.example"],
    });
  });

  it("is what the flags say, where they say something", () => {
    const file = { addr: "h:1", admin: "h:2", log: "warn", data: "/from/file" };
    expect(config(file, { addr: "f:3", admin: "f:4", log: "debug", data: "/from/flag" })).toMatchObject({
      addr: { host: "f", port: 3 },
      admin: { host: "f", port: 4 },
      log: "debug",
      data: "/from/flag",
    });
  });

  it("takes paths in the file from where the file is, and flags from where one works", () => {
    const cwd = folder({ "etc/node.json": { tasks: ["hello", "../other/pilotlight.json", "/abs"], data: "state" } });
    expect(resolveConfig({ config: "etc/node.json" }, cwd)).toMatchObject({
      tasks: [join(cwd, "etc/hello"), join(cwd, "other/pilotlight.json"), "/abs"],
      data: join(cwd, "etc/state"),
    });
    expect(resolveConfig({ config: "etc/node.json", data: "here" }, cwd).data).toBe(join(cwd, "here"));
  });

  it("takes a drain of nothing for what it is", () => expect(config({ node: { drain: "0s" } }).drainMs).toBe(0));
});

describe("a configuration that cannot be used", () => {
  const refusal = (make: () => unknown): string => {
    try {
      make();
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      return (error as Error).message;
    }
    throw new Error("accepted");
  };

  it("is named when it was asked for and is not there", () => {
    const cwd = folder();
    expect(refusal(() => resolveConfig({ config: "none.json" }, cwd))).toBe(
      `the configuration ${cwd}/none.json cannot be read: ENOENT: no such file or directory, open '${cwd}/none.json'`,
    );
  });

  it("is named when it is a folder", () => {
    const cwd = folder({ "pilotlight.config.json/file": "" });
    expect(refusal(() => resolveConfig({}, cwd))).toMatch(/^the configuration .*pilotlight\.config\.json cannot be read: EISDIR/);
  });

  it("is refused by the field that is wrong", () => {
    const cwd = folder({ "pilotlight.config.json": { node: { drain: "soon" } } });
    expect(refusal(() => resolveConfig({}, cwd)).replaceAll(cwd, "DIR")).toMatchInlineSnapshot(`
      "DIR/pilotlight.config.json is not a valid configuration:
        node.drain: expected a duration such as "250ms", "10s", "15m" or "1h""
    `);
  });

  it("is told everything at once, sums too", () => {
    const cwd = folder({
      "pilotlight.config.json": {
        node: { drain: "soon", memory: "1GiB", lobby: "2GiB", instanceIdle: "2m", cellIdle: "1m" },
        prices: { shared: [{ from: "08:00", price: 2 }] },
      },
    });
    expect(refusal(() => resolveConfig({}, cwd)).replaceAll(cwd, "DIR")).toMatchInlineSnapshot(`
      "DIR/pilotlight.config.json is not a valid configuration:
        node.drain: expected a duration such as "250ms", "10s", "15m" or "1h"
        node.lobby: a lobby of 2GiB leaves no cells of a budget of 1GiB
        node.instanceIdle: 2m is not less than the cellIdle of 1m; an instance goes before its cell does
        prices.shared[0]: a window has "from" and "to"; leave both out for the rest of the day"
    `);
  });

  it("says where the JSON ends", () => {
    const cwd = folder({ "pilotlight.config.json": '{"tasks": [' });
    expect(refusal(() => resolveConfig({}, cwd)).replaceAll(cwd, "DIR")).toMatch(/^DIR\/pilotlight\.config\.json is not valid JSON: ./);
  });
});

describe("an address", () => {
  it.each([
    ["127.0.0.1:8700", { host: "127.0.0.1", port: 8700 }],
    ["localhost:0", { host: "localhost", port: 0 }],
    ["[::1]:65535", { host: "::1", port: 65_535 }],
    ["[fe80::1%eth0]:80", { host: "fe80::1%eth0", port: 80 }],
    ["example.org:080", { host: "example.org", port: 80 }],
  ])("%s is a host and a port", (text, address) => expect(parseAddress(text, "--addr")).toEqual(address));

  it.each(["", ":80", "h", "h:", "h:-1", "h:65536", "h:123456", "::1:80", "a b:80", "h:80/", "http://h:80", "[]:80"])(
    "%j is none",
    (text) => {
      const message = `--admin ${JSON.stringify(text)} is not an address: expected HOST:PORT, such as 127.0.0.1:8700; port 0 takes any free one`;
      expect(() => parseAddress(text, "--admin")).toThrow(new UserError(message, { exitCode: 2 }));
    },
  );
});
