/** API keys, what a store says of them, and what is to become of those who show one. */
import { createHash } from "node:crypto";

export interface KeyCase {
  readonly name: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly headers: readonly (readonly [string, string])[];
  readonly method?: string;
  readonly path?: string;
  readonly expect:
    | { readonly status: number; readonly wwwAuthenticate?: string }
    | { readonly subject: string; readonly claims?: readonly (readonly [string, string])[] }
    | { readonly anonymous: true };
}

const GOOD = "key-of-a-partner";
const LONG = "x".repeat(512);
const LATER = "2126-01-01T00:00:00Z";
const [HOUR, now] = [3600, Math.floor(Date.now() / 1000)];

/** By key. Whatever is no text goes into the store as JSON. */
const SAID: Readonly<Record<string, unknown>> = {
  [GOOD]: { subject: "partner-a", scopes: ["read", "list"], claims: { plan: "pro", seats: 5 }, expires: LATER },
  "key-of-a-writer": { subject: "partner-w", scopes: "read write" },
  "key-of-little": { subject: "partner-l" },
  "key-for-an-hour": { subject: "partner-h", expires: now + HOUR },
  "key-of-a-role": { subject: "partner-r", claims: { role: "admin" } },
  [LONG]: { subject: "partner-long" },
  [`${LONG}x`]: { subject: "partner-longer" },
  "key with a blank": { subject: "partner-blank" },
  "key-over-since-long": { subject: "partner-b", expires: 1_700_000_000 },
  "key-over-since-now": { subject: "partner-b", expires: new Date((now - 1) * 1000).toISOString() },
  "key-over-in-words": { subject: "partner-c", expires: "soon" },
  "key-over-without-a-zone": { subject: "partner-c", expires: "2126-01-01T00:00:00" },
  "key-over-on-no-day": { subject: "partner-c", expires: "2126-02-30T00:00:00Z" },
  "key-over-at-nothing": { subject: "partner-c", expires: null },
  "key-without-a-subject": { scopes: ["read"] },
  "key-of-nobody": { subject: "" },
  "key-of-a-number": { subject: 7 },
  "key-of-two": `{"subject":"partner-d","subject":"root"}`,
  "key-of-a-list": [{ subject: "partner-e" }],
  "key-of-nonsense": "not an entry",
  "key-of-nothing": "",
  "key-of-odd-scopes": { subject: "partner-f", scopes: [1] },
  "key-of-odd-claims": { subject: "partner-f", claims: ["x"] },
};

const hashOf = (key: string): string => createHash("sha256").update(key).digest("hex");

/** As the store has them: the hash of each key, and what is said of it. */
export const entries: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(SAID).map(([key, said]) => [hashOf(key), typeof said === "string" ? said : JSON.stringify(said)]),
);

const CHALLENGE = 'ApiKey header="x-api-key"';
const INVALID = { status: 401, wwwAuthenticate: CHALLENGE };
const shown = (key: string): KeyCase["headers"] => [["X-API-Key", key]];
const routes = [
  { path: "/open", public: true },
  { path: "/write/*", methods: ["POST"], scopes: ["read", "write"] },
  { path: "/admin/*", claims: { role: "admin" } },
];
const claims = [
  ["scope", "read list"],
  ["plan", "pro"],
  ["seats", "5"],
] as const;

const knowing: readonly KeyCase[] = [
  { name: "a key that the store knows", headers: shown(GOOD), expect: { subject: "partner-a", claims } },
  { name: "a header in small letters", headers: [["x-api-key", GOOD]], expect: { subject: "partner-a" } },
  { name: "an entry with a subject alone", headers: shown("key-of-little"), expect: { subject: "partner-l", claims: [] } },
  { name: "one that is over in an hour", headers: shown("key-for-an-hour"), expect: { subject: "partner-h" } },
  { name: "one as long as a key may be", headers: shown(LONG), expect: { subject: "partner-long" } },
  {
    name: "behind Bearer",
    config: { header: "Authorization" },
    headers: [["authorization", `bEARER ${GOOD}`]],
    expect: { subject: "partner-a" },
  },
  { name: "a header of one's own", config: { header: "X-Partner" }, headers: [["x-partner", GOOD]], expect: { subject: "partner-a" } },
  { name: "no key on a public path", config: { routes }, headers: [], path: "/open?x=1", expect: { anonymous: true } },
  { name: "a key on a public path", config: { routes }, headers: shown(GOOD), path: "/open", expect: { subject: "partner-a" } },
  {
    name: "scopes in one text",
    config: { routes },
    headers: shown("key-of-a-writer"),
    method: "POST",
    path: "/write/x",
    expect: { subject: "partner-w", claims: [["scope", "read write"]] },
  },
  { name: "another method than the route's", config: { routes }, headers: shown(GOOD), path: "/write/x", expect: { subject: "partner-a" } },
  {
    name: "the claim that its path takes",
    config: { routes },
    headers: shown("key-of-a-role"),
    path: "/admin",
    expect: { subject: "partner-r" },
  },
];

const BAD = Object.keys(SAID).slice(Object.keys(SAID).indexOf(`${LONG}x`));

const refusing: readonly KeyCase[] = [
  ...BAD.map((key): KeyCase => ({ name: `the key ${key.length > 100 ? "that is too long" : key}`, headers: shown(key), expect: INVALID })),
  ...[
    "nobody's",
    GOOD.slice(0, -1),
    `${GOOD}x`,
    GOOD.toUpperCase(),
    hashOf(GOOD),
    `Bearer ${GOOD}`,
    `${GOOD},${GOOD}`,
    `${GOOD}\t${GOOD}`,
    "",
  ].map((key): KeyCase => ({ name: `the key ${JSON.stringify(key)}, which nobody has`, headers: shown(key), expect: INVALID })),
  { name: "no key", headers: [], expect: INVALID },
  { name: "a key in another header", headers: [["authorization", `Bearer ${GOOD}`]], expect: INVALID },
  {
    name: "another scheme",
    config: { header: "authorization" },
    headers: [["authorization", `Basic ${GOOD}`]],
    expect: { status: 401, wwwAuthenticate: "Bearer" },
  },
  {
    name: "no scheme",
    config: { header: "authorization" },
    headers: [["authorization", GOOD]],
    expect: { status: 401, wwwAuthenticate: "Bearer" },
  },
  {
    name: "a bad key behind Bearer",
    config: { header: "authorization" },
    headers: [["authorization", "Bearer nobody's"]],
    expect: { status: 401, wwwAuthenticate: "Bearer" },
  },
  { name: "two keys, of which one holds", headers: [...shown(GOOD), ["x-api-key", "x"]], expect: { status: 400 } },
  { name: "the same key twice", headers: [...shown(GOOD), ...shown(GOOD)], expect: { status: 400 } },
  { name: "a bad key on a public path", config: { routes }, headers: shown("nobody's"), path: "/open", expect: INVALID },
  { name: "no key beside a public path", config: { routes }, headers: [], path: "/open/x", expect: INVALID },
  ...["/x/../open", "/x/%2e%2e/open", "/x%2f..%2fopen", "//open", "/open%00"].map((path): KeyCase => ({
    name: `no key on ${path}`,
    config: { routes },
    headers: [],
    path,
    expect: { status: 400 },
  })),
  {
    name: "one of two scopes",
    config: { routes },
    headers: shown(GOOD),
    method: "POST",
    path: "/write/x",
    expect: { status: 403 },
  },
  { name: "no scopes", config: { routes }, headers: shown("key-of-little"), method: "POST", path: "/write", expect: { status: 403 } },
  { name: "no claim that the path takes", config: { routes }, headers: shown(GOOD), path: "/%61dmin/x", expect: { status: 403 } },
];

export const cases: readonly KeyCase[] = [...knowing, ...refusing];

/** Configurations that are refused at the deploy, with what is said of them. */
export const refused: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
  [{ header: "" }, /header: expected the name of a header/],
  [{ header: "x key" }, /header: expected the name of a header/],
  [{ colour: "red" }, /colour: unknown; there are store, header, routes/],
  [{ routes: {} }, /routes: expected an array of routes/],
  [{ routes: [{ path: "/a//b" }] }, /routes\[0\]\.path: no request has this path/],
  [{ routes: [{ path: "/a", scopes: ["a b"] }] }, /routes\[0\]\.scopes: a scope is of visible ASCII/],
];
