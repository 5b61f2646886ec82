/**
 * The globals that a guest in QuickJS has beyond ECMAScript, all of them. There are no timers, `fetch`, `URL`,
 * `TextEncoder`, `Request`, `Response`, `Headers`, `crypto` or streams.
 */
declare function atob(base64: string): string;
declare function btoa(bytes: string): string;
declare function queueMicrotask(task: () => void): void;
declare const performance: { now(): number };

/** From `pilotlight/guest`: `log`, `info` and `debug` go to the task's stdout, `warn` and `error` to its stderr. */
declare const console: Readonly<Record<"log" | "info" | "debug" | "warn" | "error", (...values: unknown[]) => void>>;
