/**
 * Script imports: TypeScript functions of the embedding program that satisfy a component's WIT imports.
 *
 * `withImports` (`engine.ts`) stands in front of an engine: at link it says which interfaces the embedder answers, and
 * it answers the questions (`ask`) that come of it. The rest of the folder is what that takes: which entry provides
 * which version (`match.ts`), WIT types from their text (`wit-type.ts`), values from the engine's JSON to those that
 * jco's generated types promise (`lift.ts`) and back (`lower.ts`), and one call (`script-function.ts`). The page for
 * people is `docs/imports.md`.
 */
import { UserError } from "../base/errors.js";
import { parseInterfaceName, type InterfaceName } from "../wit/capability.js";

/**
 * TypeScript functions for imports of components, by interface (`acme:db/query` for every version of it,
 * `acme:db/query@1.2.0` for those compatible with that one) and by function, in lowerCamelCase or as WIT has it.
 */
export type ScriptImports = Readonly<Record<string, Readonly<Record<string, (...args: never[]) => unknown>>>>;

/**
 * What an embedder writes for an interface whose types jco has generated: every function of it, each allowed to give a
 * promise instead.
 *
 * ```ts
 * const query: Provided<typeof import("./types/interfaces/acme-db-query.js")> = { find: async (key) => … };
 * ```
 */
export type Provided<Interface> = {
  readonly [Name in keyof Interface as Interface[Name] extends (...args: never[]) => unknown ? Name : never]: Interface[Name] extends (
    ...args: infer Arguments
  ) => infer Result
    ? (...args: Arguments) => Awaited<Result> | Promise<Awaited<Result>>
    : never;
};

/**
 * Thrown by a function that returns a WIT `result`: the caller gets `payload` as the error. The same as any `Error`
 * with a `payload`, as in jco; this one spares the cast.
 */
export class ComponentError<Payload> extends Error {
  override readonly name = "ComponentError";
  readonly payload: Payload;

  constructor(payload: Payload, message: string = typeof payload === "string" ? payload : "an error of the component model; see payload") {
    super(message);
    this.payload = payload;
  }
}

/** One entry of `imports`. */
export interface Provider {
  /** As the embedder wrote it. */
  readonly key: string;
  readonly interface: InterfaceName;
  readonly functions: Readonly<Record<string, unknown>>;
}

/** Reads `imports`; throws a `UserError` about a key that names no interface, and about a value that holds no functions. */
export function readImports(imports: ScriptImports): Provider[] {
  return Object.entries(imports).map(([key, functions]) => {
    const name = parseInterfaceName(key);
    if (name === undefined) {
      throw new UserError(
        `imports: ${JSON.stringify(key)} is not the name of an interface; write "namespace:package/interface", with or without "@1.2.0"`,
      );
    }
    // Callers in plain JavaScript give what they like.
    if (typeof functions !== "object" || functions === null) {
      throw new UserError(`imports[${JSON.stringify(key)}] must be an object of functions, by the name that each has in the interface`);
    }
    return { key, interface: name, functions };
  });
}
