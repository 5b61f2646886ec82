import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { manifestJsonSchema, manifestSchema, readManifest, type Manifest } from "../../src/tasks/manifest.js";

const NEEDED = { name: "thumbs", component: "thumbs.wasm" };
const KiB = 1024;
const MiB = 1024 * KiB;

const read = (fields: object = {}): Manifest => readManifest({ ...NEEDED, ...fields }, "pilotlight.json");

/** The lines of the refusal, one for each thing that is wrong. */
function refusal(value: unknown): string[] {
  try {
    readManifest(value, "pilotlight.json");
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    const [first, ...lines] = (error as Error).message.split("\n");
    expect(first).toBe("pilotlight.json is not a valid manifest:");
    return lines.map((line) => line.trim());
  }
  throw new Error(`accepted: ${JSON.stringify(value)}`);
}
const refused = (fields: object): string[] => refusal({ ...NEEDED, ...fields });

const SIZE = 'expected a size such as "64MiB", "1.5GB" or "512B"';
const DURATION = 'expected a duration such as "250ms", "10s", "15m" or "1h"';

describe("a manifest", () => {
  it("needs a name and a component, and has a default for all else", () => {
    expect(read()).toEqual({
      sidecars: [],
      async: false,
      repeat: false,
      retries: { max: 0, delay: 1000, longest: 300_000 },
      keepResults: 86_400_000,
      guardInternal: false,
      triggers: [],
      signals: [],
      name: "thumbs",
      component: "thumbs.wasm",
      access: "public",
      limits: {
        memory: 128 * MiB,
        timeout: 30_000,
        idle: 30_000,
        duration: 900_000,
        cpu: 10_000,
        concurrency: 200,
        requestBody: 10 * MiB,
        responseBody: 1024 * MiB,
        headers: 128 * KiB,
        handles: 4096,
        logs: 64 * KiB,
        values: MiB,
      },
      reuse: { maxRequests: 1, maxConcurrent: 1, maxMemory: 32 * MiB, maxIdle: 5000, maxAge: 600_000 },
      capacity: { ready: 0 },
      config: {},
      env: {},
      files: [],
      outbound: [],
      secrets: [],
      stores: [],
      provides: [],
      uses: {},
      sockets: false,
    });
  });

  it("may say everything that this version supports", () => {
    const whole = {
      $schema: "https://pilotlight.dev/manifest.json",
      build: { source: "index.ts" },
      routes: ["/thumbs/*", "/t/:id"],
      access: "public",
      limits: {
        memory: "64MiB",
        timeout: "10s",
        idle: "20s",
        duration: "1h",
        cpu: "2s",
        concurrency: 5,
        requestBody: "1MB",
        responseBody: "2MB",
        headers: "8KiB",
        handles: 10,
        logs: "1KiB",
        values: "2KiB",
      },
      reuse: { maxRequests: 100, maxConcurrent: 16, maxMemory: "48MiB", maxIdle: "1s", maxAge: "5m" },
      capacity: { pool: "variable", ready: 3, whenFull: "spill" },
      config: { greeting: "hi" },
      env: { A: "1" },
      files: [{ host: "data", guest: "/data", readOnly: false }],
      outbound: ["https://api.example.com"],
      sockets: true,
      secrets: ["API_TOKEN"],
      stores: ["default", "uploads"],
      provides: ["acme:image/resize@1.2.0", "acme:image/resize@2.0.0"],
      uses: { "acme:codec/png@1.0.0": { task: "png" } },
      prefer: "time=0.7",
      sidecars: [
        { use: "auth", scope: "task", when: "always", onFailure: "closed", hideRaw: true, config: { issuer: "a", leeway: 60 } },
        { use: "trace", scope: "request", when: { header: "x-trace" }, onFailure: "open", config: {} },
        { use: "math", when: "used", onFailure: "open", config: {} },
      ],
      sidecar: { scope: "tenant", instances: 2, idle: "10s", hideRaw: true },
      repeat: true,
      retries: { max: 3, delay: "2s", longest: "1m" },
      keepResults: "1h",
      guardInternal: true,
    } as const;
    expect(read(whole)).toEqual({
      ...NEEDED,
      ...whole,
      build: { source: "index.ts", world: "http", engine: "quickjs" },
      sidecar: { ...whole.sidecar, idle: 10_000 },
      async: false,
      retries: { max: 3, delay: 2000, longest: 60_000 },
      keepResults: 3_600_000,
      triggers: [],
      signals: [],
      limits: {
        memory: 64 * MiB,
        timeout: 10_000,
        idle: 20_000,
        duration: 3_600_000,
        cpu: 2000,
        concurrency: 5,
        requestBody: 1e6,
        responseBody: 2e6,
        headers: 8 * KiB,
        handles: 10,
        logs: KiB,
        values: 2 * KiB,
      },
      reuse: { maxRequests: 100, maxConcurrent: 16, maxMemory: 48 * MiB, maxIdle: 1000, maxAge: 300_000 },
    });
  });

  it("is refused with everything that is wrong with it, each by its path", () => {
    expect(
      refusal({
        name: "A b",
        routes: ["x", "/ok"],
        limits: { memory: "64mb", timout: "10s" },
        files: [{ host: "/a", guest: "/b", rw: true }],
        colour: "red",
        idempotent: { ttl: "never" },
      }),
    ).toEqual([
      "name: expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long",
      "component: Invalid input: expected string, received undefined",
      'routes[0]: expected a path that begins with "/", without query or fragment; a host in lower case, without port, may stand before it',
      `limits.memory: ${SIZE}`,
      "limits.timout: unknown field",
      "files[0].rw: unknown field",
      `idempotent.ttl: ${DURATION}`,
      "colour: unknown field",
    ]);
  });

  it.each([null, [], "text", 3, undefined])("that is %j is refused", (value) =>
    expect(refusal(value)[0]).toMatch(/^the document: Invalid input: expected object, received /),
  );

  it("has defaults for what is left out of a part", () => {
    expect(read({ limits: { cpu: "1s" } }).limits).toEqual({ ...read().limits, cpu: 1000 });
    expect(read({ reuse: { maxRequests: 3 } }).reuse).toEqual({ ...read().reuse, maxRequests: 3 });
    expect(read({ capacity: { pool: "dedicated" } }).capacity).toEqual({ pool: "dedicated", ready: 0 });
    expect(read({ files: [{ host: "a", guest: "/a" }] }).files).toEqual([{ host: "a", guest: "/a", readOnly: true }]);
  });
});

describe("a field of a manifest", () => {
  const SIZES = [
    "limits.memory",
    "limits.requestBody",
    "limits.responseBody",
    "limits.headers",
    "limits.logs",
    "limits.values",
    "reuse.maxMemory",
  ];
  const DURATIONS = ["limits.timeout", "limits.idle", "limits.duration", "limits.cpu", "reuse.maxIdle", "reuse.maxAge"];
  const COUNTS = ["limits.concurrency", "limits.handles", "reuse.maxRequests"];
  const at = (path: string, value: unknown): object => {
    const [part, field] = path.split(".") as [string, string];
    return { [part]: { [field]: value } };
  };

  it("of each limit and term is a size, a duration or a count: no other is left", () => {
    const shapes = { limits: Object.keys(read().limits), reuse: Object.keys(read().reuse) };
    const all = Object.entries(shapes).flatMap(([part, fields]) => fields.map((field) => `${part}.${field}`));
    expect([...SIZES, ...DURATIONS, ...COUNTS, "reuse.maxConcurrent"].sort()).toEqual(all.sort());
  });

  it.each(SIZES)("%s takes a size and refuses anything else", (path) => {
    expect(() => read(at(path, "8KiB"))).not.toThrow();
    for (const wrong of ["10s", "64mib", "", "-1B", 64, null, ["8KiB"]])
      expect(refused(at(path, wrong)), String(wrong)).toEqual([`${path}: ${SIZE}`]);
  });

  it.each(DURATIONS)("%s takes a duration and refuses anything else", (path) => {
    expect(() => read(at(path, "8s"))).not.toThrow();
    for (const wrong of ["8KiB", "8", "8 sec", "", 8, null])
      expect(refused(at(path, wrong)), String(wrong)).toEqual([`${path}: ${DURATION}`]);
  });

  it.each(COUNTS)("%s takes a whole number from 1 on and refuses anything else", (path) => {
    expect(() => read(at(path, 7))).not.toThrow();
    expect(refused(at(path, 0))).toEqual([`${path}: Too small: expected number to be >0`]);
    expect(refused(at(path, 1.5))).toEqual([`${path}: Invalid input: expected int, received number`]);
    expect(refused(at(path, "7"))).toEqual([`${path}: Invalid input: expected number, received string`]);
  });

  it("reuse.maxConcurrent may not be more than maxRequests", () => {
    const line = "reuse.maxConcurrent: an instance cannot serve more runs at once than in all; raise maxRequests to at least this";
    expect(refused({ reuse: { maxConcurrent: 2 } })).toEqual([line]);
    expect(refused({ reuse: { maxConcurrent: 11, maxRequests: 10 } })).toEqual([line]);
    expect(read({ reuse: { maxConcurrent: 10, maxRequests: 10 } }).reuse.maxConcurrent).toBe(10);
  });

  it("limits.headers is at most what can cross into the engine", () => {
    expect(read({ limits: { headers: "256KiB" } }).limits.headers).toBe(256 * KiB);
    expect(refused({ limits: { headers: "257KiB" } })).toEqual(['limits.headers: at most "256KiB"']);
  });

  it.each(["a", "a1", "a-b-c", "a".repeat(63)])("name may be %s", (name) => expect(read({ name }).name).toBe(name));
  it.each(["", "A", "1a", "-a", "a_b", "a.b", "a/b", "a".repeat(64), "a\n"])("name may not be %j", (name) =>
    expect(refused({ name })[0]).toMatch(/^name: expected a name of /),
  );

  it.each(["/", "/*", "/a", "/a/", "/a/*", "/:id", "/a/:id/*", "/-", "/a%2Fb", "/caf\u00e9"])("routes may hold %s", (route) =>
    expect(read({ routes: [route] }).routes).toEqual([route]),
  );
  it.each([
    ["a", 'expected a path that begins with "/", without query or fragment; a host in lower case, without port, may stand before it'],
    ["/a?b", 'expected a path that begins with "/", without query or fragment; a host in lower case, without port, may stand before it'],
    ["/a b", 'expected a path that begins with "/", without query or fragment; a host in lower case, without port, may stand before it'],
    ["/a*", '"*" may only be the whole last segment, as in "/files/*"'],
    ["/*/a", '"*" may only be the whole last segment, as in "/files/*"'],
    ["/a/**", '"*" may only be the whole last segment, as in "/files/*"'],
    ["/-/runs", '"/-/" belongs to Pilotlight'],
  ])("routes may not hold %j", (route, message) => expect(refused({ routes: ["/ok", route] })).toEqual([`routes[1]: ${message}`]));

  it("routes may be empty: then nothing leads to the task", () => expect(read({ routes: [] }).routes).toEqual([]));

  const BUILD =
    'build: expected { "source": FILE, "world": "http", "engine": "quickjs" }, of which the last two may be left out, { "source": FILE, "wit": FILE, "world": NAME }, or { "command": LINE }';
  it.each([{}, { source: "a", command: "b" }, { source: 3 }, { source: "a", engine: "v8" }, { source: "a", world: "cli" }, "make"])(
    "build may not be %j",
    (build) => expect(refused({ build })).toEqual([BUILD]),
  );
  it("build may be a command", () => expect(read({ build: { command: "make" } }).build).toEqual({ command: "make" }));
  it("build with a field too many is refused by its name", () =>
    expect(refused({ build: { source: "a", wrold: "http" } })).toEqual(["build.wrold: unknown field"]));

  it.each([
    [{ component: "" }, "component: Too small: expected string to have >=1 characters"],
    [{ config: { a: 1 } }, "config.a: Invalid input: expected string, received number"],
    [{ env: [] }, "env: Invalid input: expected record, received array"],
    [{ files: [{ host: "/a" }] }, "files[0].guest: Invalid input: expected string, received undefined"],
    [{ outbound: "*" }, "outbound: Invalid input: expected array, received string"],
    [{ sockets: "yes" }, "sockets: Invalid input: expected boolean, received string"],
    [{ limits: null }, "limits: Invalid input: expected object, received null"],
    [{ capacity: { ready: -1 } }, "capacity.ready: Too small: expected number to be >=0"],
    [{ capacity: { ready: 10_001 } }, "capacity.ready: Too big: expected number to be <=10000"],
    [{ capacity: { redy: 1 } }, "capacity.redy: unknown field"],
    [{ capacity: { pool: "mine" } }, 'capacity.pool: expected "shared", "dedicated" or "variable"'],
    [{ capacity: { whenFull: "retry" } }, 'capacity.whenFull: expected "wait", "spill" or "reject"'],
  ])("%j is refused: %s", (fields, line) => expect(refused(fields)).toEqual([line]));
});

describe("who may call, and what a task is given", () => {
  it.each([["public"], ["key"], [{ tenants: ["acme", "globex"] }]])("access may be %j", (access) => {
    expect(read({ access }).access).toEqual(access);
  });

  it.each<[object, string]>([
    [{ access: "private" }, 'access: expected "public", "key" or { "tenants": [NAME, …] }'],
    [{ access: { tenants: [] } }, "access.tenants: expected at least one tenant"],
    [
      { secrets: ["1ST"] },
      `secrets[0]: expected a name such as "API_TOKEN": letters, digits, "_", "." and "-", not a digit, "." or "-" first, at most 128 long`,
    ],
    [{ secrets: ["A", "A"] }, "secrets: each name may be there once"],
    [
      { stores: ["Up Loads"] },
      "stores[0]: expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long",
    ],
    [
      { config: { A: "1" }, secrets: ["B", "A"] },
      "secrets[1]: A is in config as well; a name has one value, so take it out of one of them",
    ],
    [{ routes: ["/~acme/x"] }, 'routes[0]: "/~" begins the paths of other tenants'],
    [{ routes: ["acme.example.com/-/x"] }, 'routes[0]: "/-/" belongs to Pilotlight'],
    [
      { routes: ["ACME.example.com/"] },
      `routes[0]: expected a path that begins with "/", without query or fragment; a host in lower case, without port, may stand before it`,
    ],
  ])("%j is refused: %s", (fields, line) => expect(refused(fields)).toEqual([line]));

  it("routes may begin with a host", () => {
    const routes = ["acme.example.com/*", "[::1]/x", "xn--bcher-kva.example/a/:b"];
    expect(read({ routes }).routes).toEqual(routes);
  });
});

describe("the published JSON Schema", () => {
  it("is made from the schema that checks", () => {
    const schema = manifestJsonSchema() as { properties: Record<string, { description?: string; type?: string }>; required: string[] };
    expect(Object.keys(schema.properties)).toEqual(Object.keys(manifestSchema.shape));
    expect(schema.required).toEqual(["name", "component"]);
  });

  it("lies in schemas/ as it is made", () => {
    const file = new URL("../../schemas/pilotlight.json", import.meta.url);
    const made = manifestJsonSchema();
    if (process.env["UPDATE_SCHEMAS"] === "1") writeFileSync(file, JSON.stringify(made, undefined, 2));
    const lies = JSON.parse(readFileSync(file, "utf8")) as unknown;
    expect(lies, "update it: UPDATE_SCHEMAS=1 npx vitest run test/tasks/manifest.test.ts && npm run fix").toEqual(made);
  });
});

describe("what a manifest says of sidecars", () => {
  it.each([
    [[{ use: "a", scope: "node" }], 'sidecars[0].scope: expected "request", "task" or "tenant"'],
    [[{ use: "a", when: "sometimes" }], 'sidecars[0].when: expected "always", "used" or { "header": NAME }'],
    [[{ use: "a", onFailure: "maybe" }], 'sidecars[0].onFailure: expected "open" or "closed"'],
    [[{ use: "A b" }], /^sidecars\[0\]\.use: expected a name of lower-case letters/],
    [
      [{ use: "a", hideRaw: true, onFailure: "open" }],
      'sidecars[0].hideRaw: what is to stay hidden cannot be shown when the sidecar fails; take out "onFailure": "open"',
    ],
    [[{ use: "a" }, { use: "a" }], "sidecars[1].use: a is there twice; keep one of them"],
    [[{ use: "thumbs" }], "sidecars[0].use: a task cannot stand beside itself; name another"],
    [[{ use: "a", config: { a: "x".repeat(70_000) } }], "sidecars[0].config: at most 64 KiB of JSON"],
    [Array.from({ length: 17 }, (_, i) => ({ use: `a${i}` })), "sidecars: at most 16 sidecars"],
  ])("%j is refused", (sidecars, message) => {
    expect(refused({ sidecars })).toEqual([typeof message === "string" ? message : expect.stringMatching(message)]);
  });

  it.each([
    [{ instances: 0 }, /^sidecar\.instances: /],
    [{ idle: "soon" }, /^sidecar\.idle: expected /],
    [{ scope: "all" }, 'sidecar.scope: expected "request", "task" or "tenant"'],
  ])("of a task that stands beside others, %j is refused", (sidecar, message) => {
    expect(refused({ sidecar })).toEqual([typeof message === "string" ? message : expect.stringMatching(message)]);
  });
});

describe("what starts a task by itself", () => {
  it.each([
    [
      { cron: "*/5 * * *" },
      /^triggers\[0\]\.cron: "\*\/5 \* \* \*" is no cron line \(.*\); expected five fields, such as "\*\/5 \* \* \* \*"$/,
    ],
    [{ cron: "0 0 30 2 *" }, 'triggers[0].cron: "0 0 30 2 *" never comes: no day is like that'],
    [{ cron: "0 3 * * *", timeZone: "Mars/Olympus" }, /^triggers\[0\]\.timeZone: there is no time zone "Mars\/Olympus"; expected a name/],
    [{ cron: "0 3 * * *", missed: "never" }, 'triggers[0]: missed: expected "skip", "once" or "all"'],
    [{ store: "in", path: "/a", function: "b#c" }, "triggers[0].function: a trigger starts a path or a function; take out one of them"],
    [{ queue: "mails", function: "send" }, /^triggers\[0\]\.function: expected an interface and a function/],
    [{ store: "in", prefixes: "a" }, "triggers[0].prefixes: unknown field"],
    [{ when: "full moon" }, /^triggers\[0\]: expected \{ "cron": LINE \}/],
  ])("%j is refused", (trigger, message) => {
    const lines = refused({ triggers: [trigger] });
    expect(lines).toEqual([typeof message === "string" ? message : expect.stringMatching(message)]);
  });

  it("has its defaults", () => {
    expect(read({ triggers: [{ cron: "0 3 29 2 *" }, { store: "in" }, { queue: "mails", defer: "1h" }] }).triggers).toEqual([
      { cron: "0 3 29 2 *", timeZone: "UTC", missed: "skip", jitter: 0, defer: 0 },
      { store: "in", prefix: "", defer: 0 },
      { queue: "mails", defer: 3_600_000 },
    ]);
  });

  it.each([
    [{ retries: { max: 2 } }, 'retries.max: trying again is starting more than once; add "repeat": true'],
    [{ sidecar: {}, async: true }, "async: a sidecar runs beside others, at once; leave it out"],
    [{ sidecar: {}, triggers: [{ store: "in" }] }, "triggers: a sidecar runs beside others, at once; leave it out"],
  ])("%j is refused", (fields, message) => expect(refused(fields)).toEqual([message]));
});

describe("the fields", () => {
  it("are those of the contract", () => {
    const contract = [
      "name",
      "component",
      "build",
      "routes",
      "access",
      "limits",
      "reuse",
      "capacity",
      "config",
      "secrets",
      "stores",
      "outbound",
      "env",
      "files",
      "sockets",
      "provides",
      "uses",
      "sidecars",
      "sidecar",
      "idempotent",
      "triggers",
    ];
    expect(Object.keys(manifestSchema.shape).sort()).toEqual(
      ["$schema", "prefer", "async", "repeat", "retries", "keepResults", "guardInternal", "signals", ...contract].sort(),
    );
  });
});
