import { existsSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createCheckout, ended } from "./checkout.js";

describe.skipIf(process.platform === "win32")("npm run setup (its pretended tools need shebangs)", () => {
  test("a fresh clone gets everything, in order, and a second run does nothing, quickly and in silence", async () => {
    const checkout = createCheckout();
    const first = await checkout.run("setup.mjs");
    expect(first).toMatchObject({ status: 0, stderr: "" });
    expect(checkout.calls()).toEqual(["npm ci", "cargo build", "tsc", "hello"]);
    expect(readdirSync(join(checkout.root, "native")).some((file) => /^pilotlight\..*\.node$/.test(file))).toBe(true);
    expect(existsSync(join(checkout.root, "examples/hello/hello.wasm"))).toBe(true);

    const second = await checkout.run("setup.mjs");
    expect(second).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(checkout.calls()).toEqual([]);
    expect(second.milliseconds).toBeLessThan(2_000);
  });

  test("only what changed is done again", async () => {
    const checkout = createCheckout();
    await checkout.run("setup.mjs");
    checkout.calls();
    const changes: [change: () => void, calls: string[]][] = [
      [() => checkout.write("native/src/lib.rs", "// changed"), ["cargo build"]],
      [() => checkout.write("native/core/tests/limits.rs", "// a test is no source of the addon"), []],
      [() => checkout.write("src/new.ts", "export {};"), ["tsc"]],
      [() => checkout.remove("src/new.ts"), ["tsc"]],
      [() => checkout.write("examples/hello/hello.ts", "// changed"), ["hello"]],
      [() => checkout.remove("examples/hello/hello.wasm"), ["hello"]],
      [() => checkout.remove("dist"), ["tsc"]],
      [() => checkout.remove("node_modules"), ["npm ci"]],
    ];
    for (const [change, calls] of changes) {
      change();
      expect(await checkout.run("setup.mjs")).toMatchObject({ status: 0 });
      expect(checkout.calls(), String(change)).toEqual(calls);
    }
  });

  test("times say nothing: a touched source is no changed one", async () => {
    const checkout = createCheckout();
    await checkout.run("setup.mjs");
    checkout.calls();
    const later = new Date(Date.now() + 3_600_000);
    for (const file of ["native/src/lib.rs", "src/index.ts", "package-lock.json"]) utimesSync(join(checkout.root, file), later, later);
    expect(await checkout.run("setup.mjs")).toMatchObject({ status: 0, stdout: "" });
    expect(checkout.calls()).toEqual([]);
  });

  test("--only looks at the named steps alone, and --plan does nothing", async () => {
    const checkout = createCheckout();
    const plan = await checkout.run("setup.mjs", ["--plan"]);
    expect(plan.stdout).toBe("deps: missing\nnative: missing\nts: missing\nhello: missing\n");
    await checkout.run("setup.mjs", ["--only=deps,ts"]);
    expect(checkout.calls()).toEqual(["npm ci", "tsc"]);
    expect(await checkout.run("setup.mjs", ["--only=everything"])).toMatchObject({ status: 2 });
    expect(await checkout.run("setup.mjs", ["--help"])).toMatchObject({ status: 2 });
  });

  test("a step that fails is named, with what its tool said and nothing of the progress bar", async () => {
    const checkout = createCheckout();
    const { status, stderr } = await checkout.run("setup.mjs", [], { BREAK_CARGO: "1" });
    expect(status).toBe(1);
    expect(stderr.split("\nthe command was")[0]).toBe(
      [
        "   Compiling wasmtime v48.0.8",
        "error[E0425]: cannot find value x",
        "",
        'set-up failed at "addon": cargo ended with status 101',
      ].join("\n"),
    );
    expect(checkout.calls()).toEqual(["npm ci", "cargo build"]);
    expect(await checkout.run("setup.mjs")).toMatchObject({ status: 0 });
  });

  test("without Rust it stops before anything is installed", async () => {
    const checkout = createCheckout();
    checkout.remove("tools/cargo");
    checkout.remove("tools/rustc");
    const { status, stderr } = await checkout.run("setup.mjs");
    expect(status).toBe(1);
    expect(stderr).toContain("No Rust was found");
    expect(checkout.calls()).toEqual([]);
  });

  test("with a Rust that is too old it stops before anything is installed", async () => {
    const checkout = createCheckout();
    const { status, stderr } = await checkout.run("setup.mjs", [], { RUSTC_VERSION: "1.94.1" });
    expect(status).toBe(1);
    expect(stderr).toContain("This Rust is too old: rustc is 1.94.1.");
    expect(checkout.calls()).toEqual([]);
  });

  test("without Rust, an addon that npm brought for this version serves", async () => {
    const checkout = createCheckout();
    await checkout.run("setup.mjs", ["--only=deps"]);
    const { addonFile, platformName, platformPackage } = await import("../../scripts/lib/platform.mjs");
    const prebuilt = `node_modules/${platformPackage(platformName())}/package.json`;
    checkout.write(prebuilt, JSON.stringify({ version: "0.1.0" }));
    checkout.remove("tools/cargo");
    checkout.calls();
    expect(await checkout.run("setup.mjs")).toMatchObject({ status: 0 });
    expect(checkout.calls()).toEqual(["tsc", "hello"]);
    expect(existsSync(join(checkout.root, "native", addonFile(platformName())))).toBe(false);

    expect(await checkout.run("setup.mjs")).toMatchObject({ status: 0, stdout: "" });
    checkout.write(prebuilt, JSON.stringify({ version: "0.0.9" }));
    expect(await checkout.run("setup.mjs")).toMatchObject({ status: 1 });
  });

  test("two at once do the work once", async () => {
    const checkout = createCheckout();
    const both = await Promise.all([1, 2].map(() => checkout.run("setup.mjs", [], { SLOW_NPM: "500" })));
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(checkout.calls()).toEqual(["npm ci", "cargo build", "tsc", "hello"]);
  });

  test("one that was killed holds nobody up", async () => {
    const checkout = createCheckout();
    const killed = checkout.start("setup.mjs", [], { SLOW_NPM: "60000" });
    const end = ended(killed);
    while (!existsSync(join(checkout.root, ".cache/setup.lock"))) await new Promise((done) => setTimeout(done, 20));
    killed.kill("SIGKILL");
    await end;
    expect(existsSync(join(checkout.root, ".cache/setup.lock"))).toBe(true);
    expect(await checkout.run("setup.mjs")).toMatchObject({ status: 0 });
  });

  test("one that is asked to end takes its child along and leaves no lock", async () => {
    const checkout = createCheckout();
    const stopped = checkout.start("setup.mjs", [], { SLOW_NPM: "60000" });
    const end = ended(stopped);
    while (checkout.calls().length === 0) await new Promise((done) => setTimeout(done, 20));
    stopped.kill("SIGTERM");
    expect((await end).status).toBe(143);
    expect(existsSync(join(checkout.root, ".cache/setup.lock"))).toBe(false);
  });
});

describe.skipIf(process.platform === "win32")("npm start", () => {
  test("is `pilotlight serve` with the arguments given, in one process that gets the signals", async () => {
    const checkout = createCheckout();
    const server = checkout.start("start.mjs", ["app.wasm", "--addr", "127.0.0.1:0"]);
    const end = ended(server);
    await new Promise<void>((ready) => server.stdout?.on("data", (bytes) => String(bytes).includes("serve app.wasm") && ready()));
    server.kill("SIGTERM");
    const { status, stdout } = await end;
    expect(stdout).toMatch(/serve app\.wasm --addr 127\.0\.0\.1:0\ndrained\n$/);
    expect(status).toBe(7);
  });

  test("does not start a server on a set-up that failed", async () => {
    const checkout = createCheckout();
    const { status, stdout } = await checkout.run("start.mjs", [], { BREAK_CARGO: "1" });
    expect(status).toBe(1);
    expect(stdout).not.toContain("serve");
  });
});

test("in this checkout, finding out what there is to do takes far less than two seconds", async () => {
  const { setupPlan } = await import("../../scripts/lib/setup.mjs");
  const { ROOT } = await import("../../scripts/lib/root.mjs");
  const began = performance.now();
  expect(setupPlan(ROOT).map(({ name }) => name)).toEqual(["deps", "native", "ts", "hello"]);
  expect(performance.now() - began).toBeLessThan(1_000);
});

test("a lock nobody touched for a minute, or whose process is gone, may be taken over", async () => {
  const { isStale } = await import("../../scripts/lib/lock.mjs");
  const here = { host: "here", isAlive: (pid: number) => pid === 1 };
  expect(isStale({ pid: 1, host: "here", token: "a" }, 10_000, here)).toBe(false);
  expect(isStale({ pid: 2, host: "here", token: "a" }, 0, here)).toBe(true);
  expect(isStale({ pid: 2, host: "elsewhere", token: "a" }, 10_000, here)).toBe(false);
  expect(isStale({ pid: 1, host: "here", token: "a" }, 61_000, here)).toBe(true);
  expect(isStale(undefined, 10_000, here)).toBe(false);
});
