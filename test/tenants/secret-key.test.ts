import { chmodSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { openSecretKey } from "../../src/tenants/secret-key.js";
import { tempDir } from "../support/files.js";

const POSIX = process.platform !== "win32";

function folderWith(content: string | Uint8Array, mode = 0o600): { folder: string; path: string } {
  const folder = tempDir();
  const path = join(folder, "secrets.key");
  writeFileSync(path, content);
  chmodSync(path, mode);
  return { folder, path };
}

describe("the key file of the secrets", () => {
  it("is made once, 32 random bytes, for its owner alone", () => {
    const folder = tempDir();
    const { bytes, path } = openSecretKey(folder, false);
    expect(readdirSync(folder)).toEqual(["secrets.key"]);
    expect(bytes).toHaveLength(32);
    expect(readFileSync(path)).toEqual(bytes);
    if (POSIX) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(openSecretKey(folder, true).bytes).toEqual(bytes);
    expect(openSecretKey(folder, false).bytes).toEqual(bytes);
    expect(openSecretKey(tempDir(), false).bytes).not.toEqual(bytes);
  });

  it("is not made anew while something is sealed with the one that is missing", () => {
    const folder = tempDir();
    expect(() => openSecretKey(folder, true)).toThrow(
      new UserError(
        `the secrets in ${folder} are sealed with the key ${folder}/secrets.key, which is missing; put it back, from a backup of the data folder`,
      ),
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is made anew after a start that was killed before it was filled", () => {
    for (const content of ["", new Uint8Array(32)]) {
      const { folder, path } = folderWith(content);
      const { bytes } = openSecretKey(folder, false);
      expect(readFileSync(path)).toEqual(bytes);
      expect(bytes.every((byte) => byte === 0)).toBe(false);
    }
  });

  it("of another length is refused, and kept", () => {
    const { folder, path } = folderWith("too short");
    for (const inUse of [true, false]) {
      expect(() => openSecretKey(folder, inUse)).toThrow(
        new UserError(`the key of the secrets, ${path}, has 9 bytes and not 32; put the right file back, from a backup of the data folder`),
      );
    }
    expect(readFileSync(path, "utf8")).toBe("too short");
  });

  it.runIf(POSIX)("that others may read is refused, with the command that helps", () => {
    const { folder, path } = folderWith(new Uint8Array(32).fill(7), 0o644);
    expect(() => openSecretKey(folder, true)).toThrow(
      new UserError(`the key of the secrets, ${path}, is open to other users of this machine; run: chmod 600 ${path}`),
    );
    chmodSync(path, 0o600);
    expect(openSecretKey(folder, true).bytes).toHaveLength(32);
  });

  it("that cannot be made is told with the reason", () => {
    const folder = join(tempDir(), "missing");
    expect(() => openSecretKey(folder, false)).toThrow(
      `the key of the secrets, ${folder}/secrets.key, cannot be made: ENOENT: no such file or directory, open '${folder}/secrets.key'`,
    );
  });

  it("that cannot be read is told with the reason", () => {
    const folder = tempDir({ "secrets.key/in-a-folder": "" });
    chmodSync(join(folder, "secrets.key"), 0o700);
    expect(() => openSecretKey(folder, true)).toThrow(
      `the key of the secrets, ${folder}/secrets.key, cannot be read: EISDIR: illegal operation on a directory, read`,
    );
  });
});
