/** What a guest in QuickJS can import of Pilotlight's own (`wit/pilotlight`), as it really is there; as in `wasi.d.ts`. */
declare module "pilotlight:triggers/announce@0.1.0" {
  export interface Runs {
    readonly task: string;
    readonly count: number;
    readonly inMs: number;
    readonly windowMs: number;
    readonly confidence: number;
    readonly key: string | null;
  }
  export function announce(expected: Runs): string;
  export function signal(name: string, key: string | null): void;
}

declare module "pilotlight:triggers/queue@0.1.0" {
  export function send(queue: string, message: Uint8Array, contentType: string | null, key: string | null): string;
}
