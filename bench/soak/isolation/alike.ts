/**
 * Two requests to one node that differ in a name alone: one that the other tenant has, one as long that nobody has. All that is answered
 * must be the same but for the name, whatever key is shown.
 */
import { hiddenOf, hostOf, upload, type Party } from "./party.js";
import type { HttpRequest } from "./ask.js";

/** A method of the admin API and its path, as OpenAPI writes it: `/v1/tenants/{tenant}/tasks`. */
export interface Route {
  readonly method: string;
  readonly path: string;
}

/** Everything that is asked about a tenant of that name, in an order that depends on nothing else. */
export function questionsAbout(name: string, { name: asker }: Party, routes: readonly Route[], component: Buffer): HttpRequest[] {
  const about = routes.filter(({ path }) => path.includes("{tenant}"));
  const keys = [`${asker}:k0`, `${asker}:never`, undefined];
  const adminQuestions = about.flatMap(({ method, path }) =>
    keys.map((key) => ({ ...adminQuestion(method, path, name, component), key, about: `${method} ${path} of another` })),
  );
  return [...adminQuestions, ...keys.flatMap((key) => dataQuestions(name, asker, key)), ...claims(name, asker, component)];
}

/** What is not about a tenant, asked with a tenant's key. */
export function questionsOfNode({ name: asker }: Party, routes: readonly Route[]): HttpRequest[] {
  const ask = ({ method, path }: Route): HttpRequest => {
    const question = adminQuestion(method, path, asker, Buffer.alloc(0));
    return { ...question, key: `${asker}:k0`, about: `${method} ${path}` };
  };
  return routes.filter(({ path }) => !path.includes("{tenant}")).map(ask);
}

function adminQuestion(method: string, path: string, name: string, component: Buffer): Omit<HttpRequest, "key" | "about"> {
  const parts: Readonly<Record<string, string>> = {
    tenant: name,
    task: "hello",
    version: "v1",
    alias: "live",
    name: "TOKEN",
    store: "default",
    key: "a",
    id: "0011223344556677",
  };
  const filled = path.replace(/\{(\w+)\}/g, (_, part: string) => parts[part] ?? "x");
  const common = { kind: "http", plane: "admin", method, path: filled } as const;
  if (method === "GET" || method === "DELETE") return common;
  if (path.endsWith("/versions")) {
    const body = upload({ name: "hello", component: "a.wasm", access: "key" }, component);
    return { ...common, headers: { "Content-Type": "multipart/form-data; boundary=pilotlight-isolation" }, body };
  }
  if (path.includes("/entries/")) return { ...common, body: "value" };
  return { ...common, headers: { "Content-Type": "application/json" }, body: JSON.stringify(bodyFor(path)) };
}

function bodyFor(path: string): object {
  if (/\/(drain|resume)$/.test(path)) return {};
  if (path.endsWith("/capacity")) return { cellIdle: 90_000 };
  if (path.endsWith("/tenants")) return { name: "initech" };
  if (path.endsWith("/keys")) return { scopes: ["read"] };
  if (path.endsWith("/rotate")) return { graceSeconds: 0 };
  if (path.includes("/secrets/")) return { value: "value" };
  if (path.endsWith("/rollback")) return {};
  return path.includes("/aliases/") ? { targets: { v1: 1 } } : { quotas: { tasks: 1 } };
}

/** Paths of the shared host, and the tenant's own host. */
function dataQuestions(name: string, asker: string, key: string | undefined): HttpRequest[] {
  const call = (path: string, headers: Readonly<Record<string, string>> = {}): HttpRequest => ({
    kind: "http",
    plane: "data",
    about: "call of another's path",
    key,
    method: "GET",
    path,
    headers,
  });
  const paths = ["", "/", "/hello", "/hello/longer/path", `/${name}-task`, "/shared", "/none"];
  const onHost = ["/", "/hello", "/shared", `/~${name}/hello`, "/none"];
  return [
    ...paths.map((path) => call(`/~${name}${path}`)),
    ...onHost.map((path) => call(path, { Host: hostOf(name) })),
    ...onHost.map((path) => call(`http://${hostOf(name)}${path}`)),
    call(`/~${asker}/../~${name}/hello`),
  ];
}

/** Manifests of the asker's own that lay claim to what is the name's. */
function claims(name: string, asker: string, component: Buffer): HttpRequest[] {
  const deploy = (manifest: object): HttpRequest => ({
    kind: "http",
    plane: "admin",
    about: "a manifest's claim on another's place",
    key: `${asker}:k0`,
    method: "POST",
    path: `/v1/tenants/${asker}/tasks/claim/versions`,
    headers: { "Content-Type": "multipart/form-data; boundary=pilotlight-isolation" },
    body: upload({ name: "claim", component: "a.wasm", access: "key", ...manifest }, component),
  });
  return [
    deploy({ routes: [`${hostOf(name)}/hello/longer/*`] }),
    deploy({ routes: [`${hostOf(name)}/*`, "/claim"] }),
    deploy({ routes: [`/~${name}/hello/longer/*`] }),
    deploy({ files: [{ host: `/srv/${name}`, guest: "/data" }] }),
    deploy({ secrets: [hiddenOf(name)] }),
  ];
}
