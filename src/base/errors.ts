/**
 * An error that its reader can do something about: the message says what is wrong, where, and what would be
 * right. Commands print it without a stack and exit with `exitCode`.
 */
export class UserError extends Error {
  override readonly name = "UserError";
  /** 2 for wrong usage, 1 for everything else. */
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
