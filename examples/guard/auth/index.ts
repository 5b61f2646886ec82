/** Lets pass who shows a user and a password that it knows (RFC 7617), and says who that is. Anybody else is asked for them. */

/** As `pilotlight:sidecar/guard` has them (`wit/pilotlight/sidecar.wit`). */
interface Call {
  readonly run: string;
  readonly tenant: string;
  readonly task: string;
  readonly version: string;
}

interface Head {
  readonly method: string;
  readonly pathWithQuery: string;
  readonly headers: readonly (readonly [string, Uint8Array])[];
}

interface Identity {
  readonly subject: string;
  readonly claims: readonly (readonly [string, string])[];
}

/** What an example may have in its source; a guard of yours asks a store, or has a secret in its manifest. */
const PASSWORDS: Readonly<Record<string, string>> = { ada: "lovelace", grace: "hopper" };

export const guard = {
  check(_call: Call, { headers }: Head): Identity {
    const field = headers.find(([name]) => name.toLowerCase() === "authorization")?.[1];
    const [user, password] = credentials(field === undefined ? "" : text(field));
    if (user === undefined || PASSWORDS[user] !== password) throw refusal();
    return { subject: user, claims: [["by", "password"]] };
  },
};

function credentials(value: string): [string?, string?] {
  const encoded = /^basic +([A-Za-z0-9+/=]+)$/i.exec(value)?.[1];
  if (encoded === undefined) return [];
  const decoded = atob(encoded);
  const colon = decoded.indexOf(":");
  return colon < 0 ? [] : [decoded.slice(0, colon), decoded.slice(colon + 1)];
}

/** What a function of WIT throws is its error value. */
function refusal(): unknown {
  return { status: 401, headers: [["WWW-Authenticate", bytes('Basic realm="example"')]], reason: "Show a user and a password." };
}

function text(field: Uint8Array): string {
  return String.fromCharCode(...field);
}

function bytes(value: string): Uint8Array {
  return Uint8Array.from(value, (letter) => letter.charCodeAt(0));
}
