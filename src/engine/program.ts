/** What is said about components and programs across the engine port. */

/** A function as WIT has it; types are written as WIT text. */
export interface FunctionInfo {
  readonly name: string;
  readonly async: boolean;
  readonly parameters: readonly { readonly name: string; readonly type: string }[];
  /** Undefined when the function returns nothing. */
  readonly result: string | undefined;
}

/** An imported or exported interface, or `name: ""` for functions of the world itself. */
export interface InterfaceInfo {
  readonly name: string;
  readonly functions: readonly FunctionInfo[];
  readonly resources: readonly string[];
}

/** What a component is, read from its bytes. */
export interface ComponentInfo {
  /** sha256 of the bytes, in lower-case hex. */
  readonly digest: string;
  readonly imports: readonly InterfaceInfo[];
  readonly exports: readonly InterfaceInfo[];
  /** What it can be run as, from its exports. */
  readonly runs: { readonly http: "0.2" | "0.3" | undefined; readonly command: "0.2" | "0.3" | undefined };
  /** True when the compiled form came from the cache. */
  readonly cached: boolean;
  readonly compileNanoseconds: number;
  readonly compiledBytes: number;
}

/** Imports that nothing satisfies: the interface, and which of its functions or resources. */
export interface LinkReport {
  readonly missing: readonly { readonly interface: string; readonly items: readonly string[] }[];
}

/** Limits that the engine enforces on each instance or run. Bytes and milliseconds; 0 is not "none" but nothing. */
export interface ProgramLimits {
  /** Sum of an instance's linear memories and tables. */
  readonly memoryBytes: number;
  /** CPU time of one run (of an instance, where several runs share it). */
  readonly cpuMs: number;
  readonly requestBodyBytes: number;
  readonly responseBodyBytes: number;
  /** One header block. */
  readonly headerBytes: number;
  /** Host-side resources of one instance. */
  readonly handles: number;
  /** Lines of log text a run may write before the rest is dropped and counted. */
  readonly logBytes: number;
  /** Values lifted or lowered in one call. */
  readonly valueBytes: number;
}

/** Where a program's outbound HTTP may go. */
export interface OutboundGrant {
  /** Origins (`https://api.example.com`, `http://127.0.0.1:9000`), or `*` for public addresses. */
  readonly origins: readonly string[];
  /** `*` means every address, private and loopback included (`serve FILE` and `run` only). */
  readonly anyAddress: boolean;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly betweenBytesMs: number;
  /** Connections open at once for the program. */
  readonly connections: number;
}

/** Everything that makes a program out of a component. */
export interface ProgramSpec {
  readonly digest: string;
  readonly limits: ProgramLimits;
  readonly environment: readonly (readonly [string, string])[];
  readonly arguments: readonly string[];
  readonly directories: readonly { readonly host: string; readonly guest: string; readonly readOnly: boolean }[];
  readonly config: readonly (readonly [string, string])[];
  readonly outbound: OutboundGrant;
  readonly sockets: boolean;
  /** `inherit` gives the guest the process's own stdin, stdout and stderr (`pilotlight run`). */
  readonly stdio: "capture" | "inherit";
  /** Most runs that share an instance at once. */
  readonly maxConcurrent: number;
  /** Imported interfaces that TypeScript answers. */
  readonly scripts: readonly string[];
  /** Imported interfaces that other tasks serve; none when left out. */
  readonly calls?: readonly string[];
  /** Whose key-value data it sees; `default` when left out. */
  readonly tenant?: string;
  /** Names of the stores that it may open with `wasi:keyvalue`; none when left out. */
  readonly stores?: readonly string[];
}
