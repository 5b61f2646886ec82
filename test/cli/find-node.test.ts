/** Which node a command talks to (DESIGN.md 5.1). */
import { chmodSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findNode } from "../../src/cli/find-node.js";
import { announceNode, nodesFile, normalUrl, readNodes, rememberNode, writeNodeFile } from "../../src/cli/nodes-file.js";
import { tempDir } from "../support/files.js";

const [FLAG, ENV, HERE, LISTED] = ["http://flag:1/", "http://env:2/", "http://here:3/", "http://listed:4/"];

/** A folder below one with a node, and a user's list. */
function places(): { cwd: string; env: NodeJS.ProcessEnv } {
  const folder = tempDir({ "below/deep/x": "" });
  writeNodeFile(join(folder, ".pilotlight"), { url: HERE, key: "pl_here" });
  const env = { XDG_CONFIG_HOME: tempDir() };
  rememberNode(env, { url: LISTED, key: "pl_listed" });
  return { cwd: join(folder, "below/deep"), env };
}

describe("the node is", () => {
  it("what --url and --key say, before all", () => {
    const { cwd, env } = places();
    const found = findNode({ cwd, env: { ...env, PILOTLIGHT_URL: ENV, PILOTLIGHT_KEY: "pl_env" } }, { url: FLAG, key: "pl_flag" });
    expect(found).toEqual({ url: FLAG, key: "pl_flag", source: "--url" });
  });

  it("then that of the environment", () => {
    const { cwd, env } = places();
    const found = findNode({ cwd, env: { ...env, PILOTLIGHT_URL: ENV, PILOTLIGHT_KEY: "pl_env" } }, {});
    expect(found).toEqual({ url: ENV, key: "pl_env", source: "PILOTLIGHT_URL" });
  });

  it("then that of .pilotlight here or above", () => {
    const { cwd, env } = places();
    const file = join(cwd, "../../.pilotlight/node.json");
    expect(findNode({ cwd, env }, {})).toEqual({ url: HERE, key: "pl_here", source: file });
  });

  it("then the last one used of the user's list", () => {
    const { env } = places();
    rememberNode(env, { url: "http://newer:5/", key: "pl_newer" });
    const found = findNode({ cwd: tempDir(), env }, {});
    expect(found).toEqual({ url: "http://newer:5/", key: "pl_newer", source: nodesFile(env) });
  });

  it("nowhere: all four places are named, and it is wrong usage", () => {
    const env = { XDG_CONFIG_HOME: tempDir() };
    const find = (): unknown => findNode({ cwd: tempDir(), env }, {});
    for (const place of ["--url and --key", "PILOTLIGHT_URL and PILOTLIGHT_KEY", ".pilotlight/node.json", nodesFile(env)])
      expect(find).toThrow(place);
    expect(find).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});

describe("the key", () => {
  it("may be one's own for the node here", () => {
    const { cwd, env } = places();
    expect(findNode({ cwd, env }, { key: "pl_mine" })).toMatchObject({ url: HERE, key: "pl_mine" });
    expect(findNode({ cwd, env: { ...env, PILOTLIGHT_KEY: "pl_mine" } }, {})).toMatchObject({ url: HERE, key: "pl_mine" });
  });

  it("that was stored for a node is found by its URL", () => {
    const { cwd, env } = places();
    expect(findNode({ cwd, env }, { url: "listed:4" })).toMatchObject({ url: LISTED, key: "pl_listed" });
  });

  it("of one node never goes to another", () => {
    const { cwd, env } = places();
    expect(() => findNode({ cwd, env }, { url: FLAG })).toThrow(/no key is known for the node http:\/\/flag:1\//);
    const withEnv = { ...env, PILOTLIGHT_URL: ENV, PILOTLIGHT_KEY: "pl_env" };
    expect(() => findNode({ cwd, env: withEnv }, { url: FLAG })).toThrow(/no key is known/);
  });

  it("with a line end in it is refused before it is sent", () => {
    expect(() => findNode({ cwd: tempDir(), env: {} }, { url: FLAG, key: "pl_a\nb" })).toThrow(/characters that no key has/);
  });
});

describe("the files", () => {
  it("are the user's alone, also where one with wider rights was there", () => {
    const { cwd, env } = places();
    const here = join(cwd, "../../.pilotlight/node.json");
    for (const file of [here, nodesFile(env)]) expect(statSync(file).mode & 0o777).toBe(0o600);
    chmodSync(nodesFile(env), 0o644);
    rememberNode(env, { url: LISTED, key: "pl_new" });
    expect(statSync(nodesFile(env)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(nodesFile(env), "utf8"))).toEqual({ nodes: [{ url: LISTED, key: "pl_new" }] });
  });

  it("hold each node once, the last used first", () => {
    const env = { XDG_CONFIG_HOME: tempDir() };
    for (const [url, key] of [
      ["http://a/", "1"],
      ["http://b/", "2"],
      ["http://a", "3"],
    ] as const)
      rememberNode(env, { url, key });
    expect(readNodes(env)).toEqual([
      { url: "http://a/", key: "3" },
      { url: "http://b/", key: "2" },
    ]);
  });

  it("follow a node that comes back on another port", () => {
    const env = { XDG_CONFIG_HOME: tempDir() };
    const data = tempDir();
    rememberNode(env, { url: "http://elsewhere/", key: "pl_e" });
    for (const port of [1, 2]) announceNode(env, { url: `http://127.0.0.1:${port}/`, key: "pl_a", data }, (text) => expect.fail(text));
    expect(readNodes(env)).toEqual([
      { url: "http://127.0.0.1:2/", key: "pl_a", data },
      { url: "http://elsewhere/", key: "pl_e" },
    ]);
    expect(JSON.parse(readFileSync(join(data, "node.json"), "utf8"))).toEqual({ url: "http://127.0.0.1:2/", key: "pl_a" });
  });

  it("that cannot be written keep no node from running", () => {
    const warnings: string[] = [];
    const env = { XDG_CONFIG_HOME: join(tempDir({ file: "" }), "file") };
    announceNode(env, { url: "http://127.0.0.1:1/", key: "pl_a", data: tempDir() }, (text) => warnings.push(text));
    expect(warnings).toEqual([expect.stringMatching(/^commands may not find this node by themselves: ENOTDIR/)]);
  });

  it("that others can write are not believed", () => {
    const { cwd, env } = places();
    chmodSync(join(cwd, "../../.pilotlight/node.json"), 0o666);
    expect(() => findNode({ cwd, env }, {})).toThrow(/node\.json belongs to or can be written by another user/);
    expect(findNode({ cwd, env }, { url: FLAG, key: "k" }).url).toBe(FLAG);
  });

  it("that are no such document are refused by name", () => {
    const env = { XDG_CONFIG_HOME: tempDir({ "pilotlight/nodes.json": "[" }) };
    expect(() => findNode({ cwd: tempDir(), env }, {})).toThrow(/nodes\.json is not valid JSON/);
    const cwd = tempDir();
    mkdirSync(join(cwd, ".pilotlight"));
    writeNodeFile(join(cwd, ".pilotlight"), { url: "ftp://x", key: "k" });
    expect(() => findNode({ cwd, env: {} }, {})).toThrow(/node\.json: the url "ftp:\/\/x" is not a node's address/);
  });
});

it.each([
  ["127.0.0.1:8701", "http://127.0.0.1:8701/"],
  ["https://node.example.com", "https://node.example.com/"],
  ["http://[::1]:8701/", "http://[::1]:8701/"],
  ["https://example.com/pilotlight", "https://example.com/pilotlight/"],
])("the address %s is %s", (text, url) => {
  expect(normalUrl(text, "it")).toBe(url);
});

it.each(["", "http://", "ws://x", "http://user:pw@x/", "http://x/?a=b"])("%j is no address", (text) => {
  expect(() => normalUrl(text, "it")).toThrow(/is not a node's address/);
});
