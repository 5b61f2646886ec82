/**
 * A body larger than any buffer, up and down through `serve FILE`, while the server's memory stays flat.
 *
 * 256 MiB unless `PILOTLIGHT_TEST_MIB` says otherwise (1024 is what is promised, and takes half a minute).
 */
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { guestPath, WASI } from "../support/guests.js";
import { startProgram } from "../support/program.js";

const MIB = Number(process.env["PILOTLIGHT_TEST_MIB"] ?? 256);
const PIECE = 64 * 1024;

/** How far the resident memory may rise over where it was after a few requests. What is held is credit and socket buffers. */
const GROWTH_MIB = 64;

describe.each(WASI)("WASI %s", (wasi) => {
  it(
    `${MIB} MiB come back as they were sent, and the server holds next to none of it`,
    async () => {
      const echo = await startProgram([guestPath(`echo-${wasi}`), "--log", "info"]);
      // What is loaded and pooled once is not growth.
      for (let i = 0; i < 5; i++) await (await echo.get("/", { method: "POST", body: Buffer.alloc(4 * 2 ** 20) })).arrayBuffer();
      const before = echo.program.peakMiB();

      const call = request(`${echo.origin}/`, { method: "POST" });
      const sent = { bytes: 0, crc: 0 };
      Readable.from(pieces(MIB, sent)).pipe(call);
      const [answer] = (await once(call, "response")) as [IncomingMessage];
      const back = { bytes: 0, crc: 0 };
      for await (const piece of answer as AsyncIterable<Buffer>) {
        back.bytes += piece.byteLength;
        back.crc = crc32(piece, back.crc);
      }
      expect(back).toEqual({ bytes: MIB * 2 ** 20, crc: sent.crc });
      expect(echo.program.peakMiB() - before).toBeLessThan(GROWTH_MIB);
      expect(await echo.log.run(String(answer.headers["pilotlight-run"]))).toMatchObject({
        outcome: "ok",
        bytesIn: back.bytes,
        bytesOut: back.bytes,
      });
    },
    60_000 + 200 * MIB,
  );
});

/** Bytes of which no two pieces are alike. */
function* pieces(mib: number, sent: { bytes: number; crc: number }): Generator<Buffer> {
  const letters = Buffer.from(Array.from({ length: PIECE + 251 }, (_, i) => i % 251));
  for (let i = 0; i < (mib * 2 ** 20) / PIECE; i++) {
    const piece = letters.subarray(i % 251, (i % 251) + PIECE);
    sent.bytes += piece.byteLength;
    sent.crc = crc32(piece, sent.crc);
    yield piece;
  }
}
