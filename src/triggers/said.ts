/** What somebody says that will happen. */
export type Said =
  | { readonly kind: "signal"; readonly signal: string; readonly key: string | undefined }
  | {
      readonly kind: "runs";
      readonly task: string;
      readonly count: number;
      /** Milliseconds from now, and how long it takes until all have come. */
      readonly inMs: number;
      readonly windowMs: number;
      readonly confidence: number | undefined;
      readonly key: string | undefined;
    };
