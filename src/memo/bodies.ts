/** Bodies that are too long to lie in the record itself: files of their own, or memory where a node keeps nothing. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

export interface Bodies {
  /** Resolves once it is there as a whole. */
  write(name: string, body: Uint8Array): Promise<void>;
  /** In pieces, as they are taken; once this resolves to its end, whatever happens to it meanwhile. Rejects where there is none. */
  read(name: string): Promise<Readable>;
  /** SHA-256 in hex; undefined: there is none. */
  digest(name: string): Promise<string | undefined>;
  remove(name: string): Promise<void>;
  names(): Promise<readonly string[]>;
}

const PIECE = 64 * 1024;
const HEX = /^[0-9a-f]+$/;

export function folderBodies(folder: string): Bodies {
  const path = (name: string): string => join(folder, name.slice(0, 2), name);
  return {
    async write(name, body) {
      const [draft, place] = [`${path(name)}.new`, path(name)];
      await mkdir(join(folder, name.slice(0, 2)), { recursive: true, mode: 0o700 });
      const file = await open(draft, "w", 0o600);
      try {
        await file.writeFile(body);
        // So that what the record names is whole, whatever happens to the machine.
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(draft, place);
    },
    read: async (name) => (await open(path(name), "r")).createReadStream({ highWaterMark: PIECE }),
    async digest(name) {
      const digest = createHash("sha256");
      try {
        await pipeline(createReadStream(path(name)), digest);
        return digest.digest("hex");
      } catch {
        return undefined;
      }
    },
    remove: (name) => rm(path(name), { force: true }),
    async names() {
      const names: string[] = [];
      for (const part of await readdir(folder).catch(() => [])) {
        for (const name of await readdir(join(folder, part)).catch(() => [])) {
          // A draft is what a process left that was killed.
          if (HEX.test(name)) names.push(name);
          else await rm(join(folder, part, name), { force: true });
        }
      }
      return names;
    },
  };
}

export function memoryBodies(): Bodies {
  const bodies = new Map<string, Uint8Array>();
  return {
    async write(name, body) {
      bodies.set(name, body);
    },
    async read(name) {
      const body = bodies.get(name);
      if (body === undefined) throw new Error(`there is no body ${name}`);
      return Readable.from(pieces(body));
    },
    async digest(name) {
      const body = bodies.get(name);
      return body && createHash("sha256").update(body).digest("hex");
    },
    async remove(name) {
      bodies.delete(name);
    },
    names: async () => [...bodies.keys()],
  };
}

function* pieces(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += PIECE) yield body.subarray(at, at + PIECE);
}
