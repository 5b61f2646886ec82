import fc from "fast-check";
import type { Context } from "hono";
import { expect, it } from "vitest";
import type { ProblemError } from "../../../src/base/problem.js";
import { uploadBody, type Upload } from "../../../src/http/admin/upload.js";
import type { PlaneEnv } from "../../../src/http/planes.js";
import { uploadForm } from "./client.js";

function read(type: string, body: Uint8Array): Promise<Upload> {
  const raw = new Request("http://a/", { method: "POST", body, headers: { "Content-Type": type } });
  const c = { env: {}, req: { raw, header: (name: string) => raw.headers.get(name) ?? undefined } };
  return uploadBody(10_000).read(c as unknown as Context<PlaneEnv>);
}

/** What the platform's own form data looks like on the wire. */
async function written(form: FormData): Promise<{ type: string; bytes: Uint8Array }> {
  const response = new Response(form);
  return { type: response.headers.get("content-type") ?? "", bytes: new Uint8Array(await response.arrayBuffer()) };
}

const component = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  // Line ends and dashes, which boundaries are made of.
  fc.array(fc.constantFrom(13, 10, 45, 65), { maxLength: 60 }).map((bytes) => Uint8Array.from(bytes)),
);

it("a component's bytes arrive as they were sent, whatever they are", async () => {
  await fc.assert(
    fc.asyncProperty(component, fc.option(fc.stringMatching(/^[a-z]{0,8}$/), { nil: undefined }), async (bytes, alias) => {
      const { type, bytes: body } = await written(uploadForm({ name: "a" }, bytes, alias));
      const upload = await read(type, body);
      expect(Buffer.from(upload.component).equals(bytes)).toBe(true);
      expect(upload.manifest).toEqual({ name: "a" });
      expect(upload.alias).toBe(alias === "" ? null : alias);
    }),
  );
});

it("no beginning of an upload is taken for the whole", async () => {
  const { type, bytes } = await written(uploadForm({ name: "a" }, Buffer.from("\r\n--\0asm\r\n"), "next"));
  const boundary = /boundary=(.*)$/.exec(type)?.[1] ?? "";
  const closing = Buffer.from(bytes).lastIndexOf(`--${boundary}--`) + boundary.length + 4;
  for (let end = 0; end < closing; end += 1) {
    const error = (await read(type, bytes.subarray(0, end)).catch((refused: unknown) => refused)) as ProblemError;
    expect([end, error.problem?.code]).toEqual([end, "request/invalid"]);
  }
  expect((await read(type, bytes.subarray(0, closing))).alias).toBe("next");
});

it("a body that is nothing of the kind is refused, and nothing else happens", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("--b", "\r\n", "--", "\r\n\r\n", 'Content-Disposition: form-data; name="x"', "\0", ":")),
      async (parts) => {
        const error = (await read("multipart/form-data; boundary=b", Buffer.from(parts.join(""))).catch(
          (refused: unknown) => refused,
        )) as ProblemError;
        expect(error.problem?.code).toBe("request/invalid");
      },
    ),
  );
});
