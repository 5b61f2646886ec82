/** The document that describes the admin API, the page that shows it, and the schema of manifests. */
import { createHash } from "node:crypto";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { adminPlane } from "../../../src/http/planes.js";
import { startAdmin, type Client } from "./client.js";
import { FakeControl } from "./fake-control.js";

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly security: readonly Record<string, unknown>[];
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: object }[];
  readonly requestBody?: { content: Record<string, { schema: object }>; required?: boolean };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}

interface Document {
  readonly openapi: string;
  readonly info: { title: string; version: string };
  readonly tags: readonly { name: string }[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, object>; securitySchemes: Record<string, object> };
}

const start = async (options: Parameters<typeof startAdmin>[1] = {}): Promise<Client> => startAdmin(new FakeControl(), options);
const documentOf = async (admin: Client): Promise<Document> => (await admin.ask("GET /openapi.json")).json as Document;

function operations({ paths }: Document): [string, string, Operation][] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [method, path, operation] as [string, string, Operation]),
  );
}

describe("openapi.json", () => {
  it("lists every route that the app has, and no other", async () => {
    const plane = adminPlane({ health: { reasons: () => [] }, metrics: async () => "", control: new FakeControl() });
    const routed = plane.app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`);
    const described = operations(await documentOf(await start())).map(([method, path]) => {
      return `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`;
    });
    expect([...new Set(routed)].sort()).toEqual(described.sort());
    expect(described.length).toBeGreaterThan(40);
  });

  it("is OpenAPI 3.1 whose references lead somewhere", async () => {
    const admin = await start();
    const document = await documentOf(admin);
    expect(document).toMatchObject({ openapi: "3.1.0", info: { title: "Pilotlight admin API", version: "0.0.0-fake" } });
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to as string);
    expect(references.length).toBeGreaterThan(100);
    for (const to of new Set(references)) {
      expect(to).toMatch(/^#\/components\/schemas\/\w+$/);
      expect(document.components.schemas).toHaveProperty(to.split("/").at(-1) as string);
    }
    const unused = Object.keys(document.components.schemas).filter((name) => !references.includes(`#/components/schemas/${name}`));
    expect(unused).toEqual([]);
    // OpenAPI 3.0 said `nullable`, and 3.1 does not know it.
    expect(JSON.stringify(document)).not.toContain("nullable");
  });

  it("describes each operation whole: parameters, body, success, problems, key", async () => {
    const document = await documentOf(await start());
    const tags = document.tags.map(({ name }) => name);
    const ids = operations(document).map(([, , { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [method, path, operation] of operations(document)) {
      const where = `${method} ${path}`;
      expect(tags, where).toContain(operation.tags[0]);
      expect(operation.summary, where).toMatch(/^\S/);
      const parameters = operation.parameters ?? [];
      const inPath = parameters.filter((parameter) => parameter.in === "path");
      expect(inPath.map(({ name }) => name).sort(), where).toEqual(
        [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string).sort(),
      );
      expect(
        inPath.every(({ required }) => required === true),
        where,
      ).toBe(true);
      const unique = new Set(parameters.map((parameter) => `${parameter.in} ${parameter.name}`));
      expect(unique.size, where).toBe(parameters.length);
      const statuses = Object.keys(operation.responses);
      expect(
        statuses.some((status) => status.startsWith("2")),
        where,
      ).toBe(true);
      for (const [status, { description, content }] of Object.entries(operation.responses)) {
        expect(description, where).not.toBe("");
        const isProblem = /^[45d]/.test(status) && where !== "get /readyz";
        if (isProblem || status === "default")
          expect(content, where).toEqual({ "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } });
      }
      expect(statuses, where).toContain("default");
      if (!path.startsWith("/v1/")) {
        expect(operation.security, where).toEqual([]);
        continue;
      }
      expect(operation.security, where).toEqual([{ bearer: [] }, { header: [] }]);
      for (const status of ["401", "403", "422"]) expect(statuses, where).toContain(status);
      if (operation.requestBody !== undefined) for (const status of ["413", "415"]) expect(statuses, where).toContain(status);
      expect(operation.requestBody !== undefined, where).toBe(["post", "put", "patch"].includes(method));
    }
    expect(document.components.securitySchemes).toMatchObject({
      bearer: { type: "http", scheme: "bearer" },
      header: { type: "apiKey", in: "header", name: "Pilotlight-Key" },
    });
  });

  it("says what a deploy takes and gives, and what can be raced", async () => {
    const { paths } = await documentOf(await start());
    const deploy = paths["/v1/tenants/{tenant}/tasks/{task}/versions"]?.post as Operation;
    expect(deploy.requestBody).toEqual({
      content: { "multipart/form-data": { schema: { $ref: "#/components/schemas/Upload" } } },
      required: true,
    });
    expect(Object.keys(deploy.responses)).toEqual(expect.arrayContaining(["200", "201", "409", "413", "429", "507"]));
    const headers = (operation: Operation | undefined): string[] =>
      (operation?.parameters ?? []).filter((parameter) => parameter.in === "header").map(({ name }) => name);
    const entry = paths["/v1/tenants/{tenant}/stores/{store}/entries/{key}"];
    expect([headers(entry?.get), headers(entry?.put), headers(entry?.delete)]).toEqual([
      ["If-None-Match"],
      ["If-Match", "If-None-Match"],
      ["If-Match"],
    ]);
    const tagged = [entry?.get?.responses["200"], entry?.put?.responses["204"], entry?.delete?.responses["204"]];
    expect(tagged.map((success) => Object.hasOwn(success ?? {}, "headers"))).toEqual([true, true, false]);
    const query = paths["/v1/tenants"]?.get?.parameters?.filter((parameter) => parameter.in === "query");
    expect(query?.map(({ name, schema }) => [name, (schema as { type: string }).type])).toEqual([
      ["limit", "integer"],
      ["cursor", "string"],
    ]);
  });

  it("says that metrics take a key where they do", async () => {
    const { paths } = await documentOf(await start({ metricsNeedKey: true }));
    expect(paths["/metrics"]?.get?.security).toEqual([{ bearer: [] }, { header: [] }]);
  });
});

describe("/docs", () => {
  it("is a page that names no other host, and whose policy lets nothing but its own script run", async () => {
    const admin = await start();
    const { headers, text } = await admin.ask("GET /docs");
    expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(text).not.toMatch(/https?:|\/\/[a-z]|src=|href=|@import|url\(/);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).not.toContain("unsafe");
    for (const tag of ["style", "script"]) {
      const inside = new RegExp(`<${tag}>([^]*)</${tag}>`).exec(text)?.[1] ?? "";
      expect(policy).toContain(`${tag}-src 'sha256-${createHash("sha256").update(inside).digest("base64")}'`);
    }
  });

  it("shows every operation, and what it gives", async () => {
    const admin = await start();
    const document = await documentOf(admin);
    const script = /<script>([^]*)<\/script>/.exec((await admin.ask("GET /docs")).text)?.[1] ?? "";
    const main = element("main");
    const asked: string[] = [];
    const fetched = async (path: string): Promise<{ json: () => Promise<Document> }> => {
      asked.push(path);
      return { json: async () => document };
    };
    await runInNewContext(`${script.replace(/^fetch\(/m, "shown = fetch(")}; shown`, {
      document: { createElement: element, querySelector: () => main },
      fetch: fetched,
      shown: undefined,
    });
    expect(asked).toEqual(["openapi.json"]);
    const text = JSON.stringify(main);
    for (const [, path, { operationId, summary }] of operations(document)) {
      expect(text).toContain(JSON.stringify(operationId));
      expect(text).toContain(JSON.stringify(path));
      expect(text).toContain(summary);
    }
    expect(text).toContain("storedBytes");
  });
});

describe("/schemas/pilotlight.json", () => {
  it("is the schema of the manifests that are taken", async () => {
    const { headers, text } = await (await start()).ask("GET /schemas/pilotlight.json");
    expect(headers.get("content-type")).toBe("application/schema+json");
    const schema = JSON.parse(text) as { type: string; required: string[]; properties: object; additionalProperties: boolean };
    expect(schema).toMatchObject({ type: "object", additionalProperties: false });
    expect(schema.required).toEqual(expect.arrayContaining(["name", "component"]));
    expect(schema.required).not.toContain("limits");
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(["routes", "limits", "reuse"]));
  });

  it("is the one that the plane was given", async () => {
    const admin = await start({ manifestSchema: { title: "mine" } });
    expect((await admin.ask("GET /schemas/pilotlight.json")).json).toEqual({ title: "mine" });
  });
});

interface Fake {
  readonly tag: string;
  readonly attributes: Record<string, string>;
  children: unknown[];
  setAttribute(name: string, value: string): void;
  append(...children: unknown[]): void;
  replaceChildren(...children: unknown[]): void;
}

/** As much of an element as the page's script uses. */
function element(tag: string): Fake {
  return {
    tag,
    attributes: {},
    children: [],
    setAttribute(name, value) {
      this.attributes[name] = value;
    },
    append(...children) {
      this.children.push(...children);
    },
    replaceChildren(...children) {
      this.children = children;
    },
  };
}
