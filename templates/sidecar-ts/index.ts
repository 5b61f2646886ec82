/** Lets requests pass that show the word of its configuration in `X-Word`, and says who is calling. */

type Headers = readonly (readonly [string, Uint8Array])[];

let word = "please";

export const lifecycle = {
  /** Names and values of `config`; what is thrown here refuses the deploy. */
  start(config: readonly (readonly [string, string])[]): void {
    for (const [name, value] of config) {
      if (name !== "word") throw wrong(`${name}: unknown; there is "word"`);
      word = value;
    }
  },
  pause(): void {},
  resume(): void {},
  stop(): void {},
};

export const guard = {
  check(_call: unknown, { headers }: { readonly headers: Headers }): { subject: string; claims: [string, string][] } {
    if (text(headers, "x-word") !== word) throw refusal("Say the word in X-Word.");
    return { subject: text(headers, "x-user") ?? "somebody", claims: [] };
  },
};

/** What a function of WIT throws is its error value. */
function wrong(message: string): unknown {
  return message;
}

function refusal(reason: string): unknown {
  return { status: 401, headers: [], reason };
}

function text(headers: Headers, wanted: string): string | undefined {
  const field = headers.find(([name]) => name.toLowerCase() === wanted);
  return field && String.fromCharCode(...field[1]);
}
