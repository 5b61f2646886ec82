/**
 * Tokens and what is to become of them: published ones, ones that hold, and hostile ones.
 *
 * The published ones are of RFC 7515 (appendix A), RFC 7519 (section 3.1) and RFC 8037 (appendix A.4); what they say is long over, so
 * they are taken with a leeway of a lifetime. The rest is signed here.
 */
import { constants, createHmac, createPrivateKey, generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from "node:crypto";

export interface Case {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly headers: readonly (readonly [string, string])[];
  readonly method?: string;
  readonly path?: string;
  readonly expect:
    | { readonly status: number; readonly wwwAuthenticate?: string }
    | { readonly subject: string; readonly claims?: readonly (readonly [string, string])[] }
    | { readonly anonymous: true };
}

const INVALID = { status: 401, wwwAuthenticate: 'Bearer error="invalid_token"' };
const MISSING = { status: 401, wwwAuthenticate: "Bearer" };
const MALFORMED = { status: 400, wwwAuthenticate: 'Bearer error="invalid_request"' };

const bearer = (token: string): (readonly [string, string])[] => [["authorization", `Bearer ${token}`]];
const LIFETIME = { leeway: 4_000_000_000, requireExpiry: false };

/** RFC 7515, A.1. */
const A1_KEY = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const A1 =
  "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/** A.2. */
const A2_KEY = {
  kty: "RSA",
  n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
  e: "AQAB",
};
const A2 =
  "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/** A.3. */
const A3_KEY = {
  kty: "EC",
  crv: "P-256",
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
};
const A3 =
  "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/** A.5: unsecured. */
const A5 = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
/** RFC 8037, A.2 and A.4: what is signed there is no JSON, so the token is none; the signature alone holds. */
const ED_KEY = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
const ED_PRIVATE = { ...ED_KEY, d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" };
const RFC8037_A4 =
  "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

const joe = { subject: "", claims: [["iss", "joe"]] } as const;

export const vectors: readonly Case[] = [
  { name: "RFC 7515 A.1, and RFC 7519 3.1: HS256", config: { secretBase64: A1_KEY, ...LIFETIME }, headers: bearer(A1), expect: joe },
  { name: "RFC 7515 A.1 in its own time", config: { secretBase64: A1_KEY }, headers: bearer(A1), expect: INVALID },
  { name: "RFC 7515 A.2: RS256", config: { key: A2_KEY, ...LIFETIME }, headers: bearer(A2), expect: joe },
  { name: "RFC 7515 A.3: ES256", config: { key: A3_KEY, ...LIFETIME }, headers: bearer(A3), expect: joe },
  { name: "RFC 7515 A.5: unsecured", config: { secretBase64: A1_KEY, ...LIFETIME }, headers: bearer(A5), expect: INVALID },
  { name: "RFC 8037 A.4: a payload that is no JSON", config: { key: ED_KEY, ...LIFETIME }, headers: bearer(RFC8037_A4), expect: INVALID },
];

const SECRET = "a secret of at least thirty-two bytes!";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const small = generateKeyPairSync("rsa", { modulusLength: 1024 });
const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");
const jwk = (key: KeyObject, more: object = {}): object => ({ ...key.export({ format: "jwk" }), ...more });

const part = (value: unknown): string => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const now = Math.floor(Date.now() / 1000);
const CLAIMS = { sub: "ada", iss: "https://id.example.com", aud: "shop", exp: now + 600, iat: now - 10 };

type Signer = (signed: string) => Buffer;
const hs =
  (secret: string | Buffer): Signer =>
  (signed) =>
    createHmac("sha256", secret).update(signed).digest();
const rs =
  (key: KeyObject): Signer =>
  (signed) =>
    sign("sha256", Buffer.from(signed), key);
const es =
  (key: KeyObject): Signer =>
  (signed) =>
    sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
const eddsa =
  (key: KeyObject): Signer =>
  (signed) =>
    sign(null, Buffer.from(signed), key);

function token(header: unknown, claims: unknown, signer: Signer): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${signer(signed).toString("base64url")}`;
}

const HS = { alg: "HS256", typ: "JWT" };
const good = token(HS, CLAIMS, hs(SECRET));
const config = { secret: SECRET };
const all = {
  secret: SECRET,
  keys: { keys: [jwk(rsa.publicKey, { kid: "r1" }), jwk(ec.publicKey, { kid: "e1" }), jwk(ed.publicKey, { kid: "d1" })] },
};
const [goodHeader = "", goodPayload = "", goodSignature = ""] = good.split(".");
const rsaPem = rsa.publicKey.export({ format: "pem", type: "spki" }).toString();
const ada = { subject: "ada" };

export const allowed: readonly Case[] = [
  { name: "HS256", config, headers: bearer(good), expect: ada },
  { name: "RS256 by its kid", config: all, headers: bearer(token({ alg: "RS256", kid: "r1" }, CLAIMS, rs(rsa.privateKey))), expect: ada },
  { name: "ES256 by its kid", config: all, headers: bearer(token({ alg: "ES256", kid: "e1" }, CLAIMS, es(ec.privateKey))), expect: ada },
  { name: "EdDSA by its kid", config: all, headers: bearer(token({ alg: "EdDSA", kid: "d1" }, CLAIMS, eddsa(ed.privateKey))), expect: ada },
  { name: "RS256 without a kid", config: all, headers: bearer(token({ alg: "RS256" }, CLAIMS, rs(rsa.privateKey))), expect: ada },
  { name: "a kid for a key that has none", config, headers: bearer(token({ ...HS, kid: "x" }, CLAIMS, hs(SECRET))), expect: ada },
  { name: "issuer and audience", config: { ...config, issuer: CLAIMS.iss, audience: ["x", "shop"] }, headers: bearer(good), expect: ada },
  {
    name: "one of several audiences",
    config: { ...config, audience: "shop" },
    headers: bearer(token(HS, { ...CLAIMS, aud: ["a", "shop"] }, hs(SECRET))),
    expect: ada,
  },
  { name: "over for less than the leeway", config, headers: bearer(token(HS, { ...CLAIMS, exp: now - 30 }, hs(SECRET))), expect: ada },
  { name: "early by less than the leeway", config, headers: bearer(token(HS, { ...CLAIMS, nbf: now + 30 }, hs(SECRET))), expect: ada },
  {
    name: "no expiry where none is needed",
    config: { ...config, requireExpiry: false },
    headers: bearer(token(HS, { sub: "ada" }, hs(SECRET))),
    expect: ada,
  },
  {
    name: "algorithms as one text",
    config: { ...config, algorithms: "RS256, HS256", key: jwk(rsa.publicKey) },
    headers: bearer(good),
    expect: ada,
  },
  {
    name: "an expiry with a fraction, far away",
    config,
    headers: bearer(token(HS, { ...CLAIMS, exp: 99_999_999_999.5 }, hs(SECRET))),
    expect: ada,
  },
  {
    name: "a type in other letters, and keys that it brings along",
    config,
    headers: bearer(token({ ...HS, typ: "jWt", jku: "https://evil.example/keys", x5c: [] }, CLAIMS, hs(SECRET))),
    expect: ada,
  },
  {
    name: "a token on a public path",
    config: { ...config, routes: [{ path: "/open/*", public: true }] },
    headers: bearer(good),
    path: "/open",
    expect: ada,
  },
  {
    name: "a path that is encoded where it need not be",
    config: { ...config, routes: [{ path: "/an%20office", public: true }] },
    headers: [],
    path: "/%61n%20office",
    expect: { anonymous: true },
  },
  { name: "bearer in small letters", config, headers: [["Authorization", `bearer ${good}`]], expect: ada },
  { name: "a header of one's own", config: { ...config, header: "x-token" }, headers: [["x-token", good]], expect: ada },
  { name: "another claim as the subject", config: { ...config, subject: "iss" }, headers: bearer(good), expect: { subject: CLAIMS.iss } },
  {
    name: "claims that are passed on",
    config: { ...config, claims: ["aud", "exp", "none"] },
    headers: bearer(good),
    expect: {
      subject: "ada",
      claims: [
        ["aud", "shop"],
        ["exp", String(CLAIMS.exp)],
      ],
    },
  },
  {
    name: "a type of RFC 9068",
    config,
    headers: bearer(token({ alg: "HS256", typ: "application/at+JWT" }, CLAIMS, hs(SECRET))),
    expect: ada,
  },
  {
    name: "nothing on a public path",
    config: { ...config, routes: [{ path: "/open/*", public: true }] },
    headers: [],
    path: "/open/x",
    expect: { anonymous: true },
  },
  {
    name: "the scope that its path takes",
    config: { ...config, routes: [{ path: "/admin/*", methods: ["POST"], scopes: ["admin"] }] },
    headers: bearer(token(HS, { ...CLAIMS, scope: "read admin" }, hs(SECRET))),
    method: "POST",
    path: "/admin/users?x=1",
    expect: ada,
  },
  {
    name: "the scope in scp, and the claim that its path takes",
    config: { ...config, routes: [{ path: "/*", scopes: ["admin"], claims: { role: "root" } }] },
    headers: bearer(token(HS, { ...CLAIMS, scp: ["admin"], role: ["root", "x"] }, hs(SECRET))),
    expect: ada,
  },
];

const invalid = (name: string, made: string, more: Readonly<Record<string, unknown>> = config): Case => ({
  name,
  config: more,
  headers: bearer(made),
  expect: INVALID,
});
const claiming = (name: string, claims: unknown, more: Readonly<Record<string, unknown>> = config): Case =>
  invalid(name, token(HS, claims, hs(SECRET)), more);
const signedBy = (name: string, header: unknown, signer: Signer, more: Readonly<Record<string, unknown>> = all): Case =>
  invalid(name, token(header, CLAIMS, signer), more);
const nothing: Signer = () => Buffer.alloc(0);
const der = (signed: string): Buffer => sign("sha256", Buffer.from(signed), ec.privateKey);
const flipped = (text: string): string => `${text.slice(0, 10)}${text[10] === "A" ? "B" : "A"}${text.slice(11)}`;

export const hostile: readonly Case[] = [
  ...["none", "None", "NONE", "nOnE", ""].map((alg) => signedBy(`alg ${JSON.stringify(alg)}`, { alg }, nothing)),
  signedBy("no alg", { typ: "JWT" }, hs(SECRET)),
  signedBy("an alg that is no text", { alg: ["HS256"] }, hs(SECRET)),
  ...["HS384", "HS512", "PS256", "RS512", "ES384", "hs256"].map((alg) => signedBy(`alg ${alg}`, { alg }, hs(SECRET))),
  invalid("an empty signature", `${goodHeader}.${goodPayload}.`),
  signedBy("an RSA key's PEM as the secret", { alg: "HS256" }, hs(rsaPem)),
  signedBy("an RSA key's JWK as the secret", { alg: "HS256" }, hs(JSON.stringify(jwk(rsa.publicKey)))),
  signedBy(
    "an RSA key's modulus as the secret",
    { alg: "HS256", kid: "r1" },
    hs(Buffer.from(rsa.publicKey.export({ format: "jwk" }).n ?? "", "base64url")),
  ),
  signedBy("the kid of a key for another algorithm", { alg: "HS256", kid: "r1" }, hs(""), {
    keys: { keys: [jwk(rsa.publicKey, { kid: "r1" })] },
  }),
  signedBy("ES256 in DER", { alg: "ES256", kid: "e1" }, der),
  signedBy("ES256 of nothing but zeros", { alg: "ES256", kid: "e1" }, () => Buffer.alloc(64)),
  signedBy("ES256 of nothing but ones", { alg: "ES256", kid: "e1" }, () => Buffer.alloc(64, 0xff)),
  signedBy("ES256 whose s is too large", { alg: "ES256", kid: "e1" }, (signed) => {
    const signature = es(ec.privateKey)(signed);
    return signature.fill(0xff, 32);
  }),
  signedBy("ES256 of which half is zeros", { alg: "ES256", kid: "e1" }, (signed) => es(ec.privateKey)(signed).fill(0, 0, 32)),
  signedBy("RS256 of nothing", { alg: "RS256", kid: "r1" }, nothing),
  signedBy("RS256 of nothing but zeros", { alg: "RS256", kid: "r1" }, () => Buffer.alloc(256)),
  signedBy("RS256 with a zero before it", { alg: "RS256", kid: "r1" }, (signed) =>
    Buffer.concat([Buffer.alloc(1), rs(rsa.privateKey)(signed)]),
  ),
  signedBy("RS256 over another hash", { alg: "RS256", kid: "r1" }, (signed) => sign("sha384", Buffer.from(signed), rsa.privateKey)),
  signedBy("RS256 by RSASSA-PSS", { alg: "RS256", kid: "r1" }, (signed) =>
    sign("sha256", Buffer.from(signed), { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
  ),
  signedBy("ES256 by an RSA key", { alg: "ES256", kid: "r1" }, rs(rsa.privateKey)),
  signedBy("EdDSA of nothing but zeros", { alg: "EdDSA", kid: "d1" }, () => Buffer.alloc(64)),
  signedBy("EdDSA whose S is too large", { alg: "EdDSA", kid: "d1" }, (signed) => plusOrder(eddsa(ed.privateKey)(signed))),
  signedBy("another RSA key", { alg: "RS256", kid: "r1" }, rs(other.privateKey)),
  signedBy("a kid that there is not", { alg: "RS256", kid: "r2" }, rs(rsa.privateKey)),
  signedBy("a kid that is no text", { alg: "HS256", kid: 1 }, hs(SECRET)),
  signedBy("another secret", HS, hs(`${SECRET}!`)),
  signedBy("an algorithm that is not allowed", HS, hs(SECRET), { ...all, algorithms: ["RS256"] }),
  invalid("a signature cut short", good.slice(0, -4)),
  invalid("a signature with more", `${good}AAAA`),
  invalid("a bit of the payload", `${goodHeader}.${flipped(goodPayload)}.${goodSignature}`),
  invalid("a bit of the signature", `${goodHeader}.${goodPayload}.${flipped(goodSignature)}`),
  invalid("a key that it brings along", token({ ...HS, jwk: jwk(other.publicKey) }, CLAIMS, rs(other.privateKey))),
  signedBy("RS256 with a key that it brings along", { alg: "RS256", jwk: jwk(other.publicKey) }, rs(other.privateKey)),
  signedBy("RS256 with an address of keys", { alg: "RS256", jku: "https://evil.example/keys" }, rs(other.privateKey)),
  signedBy("something critical", { ...HS, crit: ["exp"] }, hs(SECRET)),
  signedBy("a payload that is not encoded", { ...HS, b64: false, crit: ["b64"] }, hs(SECRET)),
  signedBy("a nested token", { ...HS, typ: "JWE" }, hs(SECRET)),
  signedBy("a type that is no text", { ...HS, typ: 5 }, hs(SECRET)),
  claiming("over", { ...CLAIMS, exp: now - 61 }),
  claiming("not yet valid", { ...CLAIMS, nbf: now + 600 }),
  claiming("issued in the future", { ...CLAIMS, iat: now + 600 }),
  claiming("no expiry", { sub: "ada" }),
  claiming("an expiry in words", { ...CLAIMS, exp: String(now + 600) }),
  claiming("an expiry below zero", { ...CLAIMS, exp: -1 }),
  claiming("an expiry of true", { ...CLAIMS, exp: true }),
  claiming("a list of expiries", { ...CLAIMS, exp: [now + 600] }),
  claiming("a start in words", { ...CLAIMS, nbf: "0" }),
  claiming("an issue in words", { ...CLAIMS, iat: "0" }),
  claiming("an expiry of null", { ...CLAIMS, exp: null }),
  invalid("an expiry that is no number", token(HS, `{"sub":"ada","exp":1e400}`, hs(SECRET))),
  invalid("an expiry of NaN", token(HS, `{"sub":"ada","exp":NaN}`, hs(SECRET))),
  claiming("another issuer", CLAIMS, { ...config, issuer: "https://other.example.com" }),
  claiming("no issuer", { ...CLAIMS, iss: undefined }, { ...config, issuer: CLAIMS.iss }),
  claiming("an issuer that is a list", { ...CLAIMS, iss: [CLAIMS.iss] }, { ...config, issuer: CLAIMS.iss }),
  claiming("another audience", CLAIMS, { ...config, audience: "bank" }),
  claiming("no audience", { ...CLAIMS, aud: undefined }, { ...config, audience: "shop" }),
  claiming("an audience that is no text", { ...CLAIMS, aud: { shop: true } }, { ...config, audience: "shop" }),
  claiming("an empty subject", { ...CLAIMS, sub: "" }),
  claiming("a subject that is no text", { ...CLAIMS, sub: 7 }),
  claiming("too long", { ...CLAIMS, filler: "x".repeat(9000) }),
  invalid("a member of the header twice", token(`{"alg":"HS256","alg":"none"}`, CLAIMS, hs(SECRET))),
  invalid("a member of the claims twice", token(HS, `{"sub":"ada","sub":"root","exp":${now + 600}}`, hs(SECRET))),
  invalid("an expiry twice, once escaped", token(HS, `{"sub":"ada","exp":1,"\\u0065xp":${now + 600}}`, hs(SECRET))),
  invalid("a payload that is a list", token(HS, [CLAIMS], hs(SECRET))),
  invalid("a payload that is no JSON", token(HS, "ada", hs(SECRET))),
  invalid("a payload with more behind it", token(HS, `${JSON.stringify(CLAIMS)}{}`, hs(SECRET))),
  invalid("a payload in no UTF-8", `${goodHeader}.${Buffer.from([0x7b, 0xff, 0x7d]).toString("base64url")}.${goodSignature}`),
  invalid("a lone surrogate", token(HS, `{"sub":"\\ud800","exp":${now + 600}}`, hs(SECRET))),
  invalid("nesting without end", token(HS, `${'{"a":'.repeat(1000)}1${"}".repeat(1000)}`, hs(SECRET))),
  invalid("padding", `${goodHeader}.${goodPayload}.${goodSignature}=`),
  invalid("a blank inside", `${goodHeader}. ${goodPayload}.${goodSignature}`),
  invalid("the usual alphabet", `${goodHeader}.${goodPayload}.${"+/".repeat(21)}A`),
  invalid("two parts", `${goodHeader}.${goodPayload}`),
  invalid("four parts", `${good}.x`),
  invalid("five parts, as JWE has", `${good}.x.y`),
  invalid("dots alone", ".."),
  invalid("no header", `.${goodPayload}.${goodSignature}`),
  invalid("no payload", `${goodHeader}..${goodSignature}`),
  invalid("a part with bits that mean nothing", `${goodHeader}.${goodPayload}.${loosened(goodSignature)}`),
  invalid("no token of any kind", "hello"),
  { name: "no credentials", config, headers: [], expect: MISSING },
  { name: "Basic", config, headers: [["authorization", `Basic ${good}`]], expect: MISSING },
  { name: "nothing after the scheme", config, headers: [["authorization", "Bearer"]], expect: MALFORMED },
  {
    name: "two headers, of which one holds",
    config,
    headers: [
      ["authorization", `Bearer ${good}`],
      ["Authorization", "Bearer x"],
    ],
    expect: MALFORMED,
  },
  { name: "two tokens in one", config, headers: bearer(`${good}, Bearer ${good}`), expect: MALFORMED },
  { name: "two tokens in one, without a blank", config, headers: bearer(`${good},${good}`), expect: MALFORMED },
  {
    name: "two tokens of which one holds, in a header of one's own",
    config: { ...config, header: "x-token" },
    headers: [["x-token", `${good},${good}`]],
    expect: INVALID,
  },
  {
    name: "no credentials beside a public path",
    config: { ...config, routes: [{ path: "/open/*", public: true }] },
    headers: [],
    path: "/openly",
    expect: MISSING,
  },
  ...["/open/../admin", "/open/%2e%2e/admin", "/open%2f..%2fadmin", "/open//../admin"].map((path): Case => ({
    name: `no credentials on ${path}`,
    config: { ...config, routes: [{ path: "/open/*", public: true }] },
    headers: [],
    path,
    expect: MALFORMED,
  })),
  {
    name: "a bad token on a public path",
    config: { ...config, routes: [{ path: "/*", public: true }] },
    headers: bearer("x.y.z"),
    expect: INVALID,
  },
  {
    name: "the scope of another path",
    config: { ...config, routes: [{ path: "/*", scopes: ["write", "admin"] }] },
    headers: bearer(token(HS, { ...CLAIMS, scope: "write" }, hs(SECRET))),
    expect: { status: 403, wwwAuthenticate: 'Bearer error="insufficient_scope", scope="write admin"' },
  },
  {
    name: "a scope that only begins alike",
    config: { ...config, routes: [{ path: "/*", scopes: ["admin"] }] },
    headers: bearer(token(HS, { ...CLAIMS, scope: "administrator" }, hs(SECRET))),
    expect: { status: 403, wwwAuthenticate: 'Bearer error="insufficient_scope", scope="admin"' },
  },
  {
    name: "a claim with another value",
    config: { ...config, routes: [{ path: "/*", claims: { role: "root" } }] },
    headers: bearer(token(HS, { ...CLAIMS, role: "rooter" }, hs(SECRET))),
    expect: { status: 403, wwwAuthenticate: 'Bearer error="insufficient_scope"' },
  },
];

/** Configurations that are refused at the deploy, with what is said of them. */
export const refused: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
  [{}, /there is no key: expected one of secret, secretBase64, key, keys, jwks/],
  [{ secret: "short" }, /secret: a secret for HS256 has at least 32 bytes; this one has 5/],
  [{ key: jwk(small.publicKey) }, /key: an RSA key has 2048 to 8192 bits; this one has 1024/],
  [{ key: { kty: "EC", crv: "P-256", x: "AA", y: "AA" } }, /key: x and y have 32 bytes each/],
  [{ keys: { keys: [] } }, /keys: none of them verifies/],
  [{ keys: "x" }, /keys: expected a JWK set as JSON/],
  [{ secret: SECRET, algorithms: ["RS256"] }, /algorithms: there is no key for RS256/],
  [{ secret: SECRET, algorithms: ["none"] }, /algorithms: none is none of HS256, RS256, ES256, EdDSA/],
  [{ secret: SECRET, leeway: -1 }, /leeway: expected a whole number of seconds/],
  [{ secret: SECRET, colour: "red" }, /colour: unknown; there are algorithms, /],
  [{ jwks: "https://id.example.com/keys", algorithms: ["HS256"] }, /algorithms: there is no key for HS256/],
  [{ secret: SECRET, algorithms: [] }, /algorithms: expected at least one/],
  [{ secret: SECRET, issuer: [] }, /issuer: expected at least one/],
  [{ secret: SECRET, audience: "" }, /audience: expected at least one/],
  [{ secret: SECRET, subject: "" }, /subject: expected the name of a claim/],
  [{ secret: SECRET, routes: [{ path: "/a/../b" }] }, /routes\[0\]\.path: no request has this path/],
  [{ secret: SECRET, routes: [{ path: "/a", scopes: ['a"b'] }] }, /routes\[0\]\.scopes: a scope is of visible ASCII/],
  [{ secret: SECRET, routes: [{ path: "x" }] }, /routes\[0\]\.path: expected a path/],
  [{ jwks: "ftp://x" }, /jwks: expected a URL/],
];

/** The key of RFC 8037, and a token by it that has claims. */
export const rfc8037: Case = {
  name: "RFC 8037's key",
  config: { key: ED_KEY },
  headers: bearer(token({ alg: "EdDSA" }, CLAIMS, (signed) => eddsa(keyOf(ED_PRIVATE))(signed))),
  expect: ada,
};

/** Signing what RFC 8037, A.4, signs with its private key gives its signature: the key above is the one that it means. */
export function signsAsRfc8037(): boolean {
  const [header, payload, signature] = RFC8037_A4.split(".");
  return eddsa(keyOf(ED_PRIVATE))(`${header}.${payload}`).toString("base64url") === signature;
}

/** A set as an identity provider has it, and a token by one of its keys. */
export const published = {
  set: JSON.stringify({ keys: [jwk(ec.publicKey, { kid: "e1", use: "sig", alg: "ES256" }), { kty: "oct", k: part(SECRET), kid: "o1" }] }),
  next: JSON.stringify({ keys: [jwk(ed.publicKey, { kid: "d1" })] }),
  byEc: token({ alg: "ES256", kid: "e1" }, CLAIMS, es(ec.privateKey)),
  byEd: token({ alg: "EdDSA", kid: "d1" }, CLAIMS, eddsa(ed.privateKey)),
  /** By a secret that the set gives away: nobody's signature. */
  bySecret: token({ alg: "HS256", kid: "o1" }, CLAIMS, hs(SECRET)),
};

/** The same bytes to a reader that does not look: the last letter has bits that no byte is made of. */
function loosened(text: string): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return text.slice(0, -1) + letters[letters.indexOf(text.at(-1) ?? "") + 1];
}

/** S plus the order of the group: the same signature to a reader that does not look. */
function plusOrder(signature: Buffer): Buffer {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order;
  const bytes = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse();
  return Buffer.concat([signature.subarray(0, 32), bytes]);
}

function keyOf(key: JsonWebKey): KeyObject {
  return createPrivateKey({ key, format: "jwk" });
}
