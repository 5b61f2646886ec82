import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { UserError, messageOf } from "../../src/base/errors.js";
import { headerValue } from "../../src/base/headers.js";
import { newRunId } from "../../src/base/ids.js";

describe("a run id", () => {
  it("is 32 hex digits, and no two are the same", () => {
    const ids = Array.from({ length: 20_000 }, newRunId);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("is random in every digit", () => {
    const ids = Array.from({ length: 2000 }, newRunId);
    for (let digit = 0; digit < 32; digit++) expect(new Set(ids.map((id) => id[digit])).size).toBe(16);
  });
});

describe("headerValue", () => {
  const headers = ["X-A", "1", "x-b", "2", "X-a", "3", "Empty", ""];
  it("finds the first value, whatever the case", () => expect(headerValue(headers, "x-a")).toBe("1"));
  it("finds an empty value", () => expect(headerValue(headers, "empty")).toBe(""));
  it("does not take a value for a name", () => expect(headerValue(["a", "b", "c", "d"], "b")).toBeUndefined());
  it("finds nothing in no headers", () => expect(headerValue([], "x-a")).toBeUndefined());
});

describe("an error for the user", () => {
  it("exits with 1, or with 2 for wrong usage, and keeps its cause", () => {
    const cause = new Error("below");
    const error = new UserError("wrong", { exitCode: 2, cause });
    expect([error.name, error.message, error.exitCode, error.cause]).toEqual(["UserError", "wrong", 2, cause]);
    expect(new UserError("wrong").exitCode).toBe(1);
  });

  it("has the message of anything that was thrown", () => {
    expect([messageOf(new Error("a")), messageOf("b"), messageOf(3), messageOf(undefined)]).toEqual(["a", "b", "3", "undefined"]);
  });
});

describe("the system's clock", () => {
  it("never goes back", () => {
    let last = systemClock.now();
    for (let i = 0; i < 1000; i++) {
      const now = systemClock.now();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
  });
});
