/** The example `examples/embed`: somebody's app, with one route from a component. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { createShop } from "../../examples/embed/app.js";
import { atEnd } from "../support/cleanup.js";
import { ROOT } from "../support/files.js";
import { within } from "../support/until.js";

it("the app has its own routes and the component's, side by side", async () => {
  const shop = await createShop();
  atEnd(() => shop[Symbol.asyncDispose]());
  const ask = async (path: string): Promise<[number, string]> => {
    const response = await shop.app.request(path);
    return [response.status, await response.text()];
  };
  expect(await ask("/")).toEqual([200, "The shop is open.\n"]);
  expect(await ask("/c-hello")).toEqual([200, "Hello from C!\n"]);
  expect(await ask("/prices")).toEqual([200, '{"apple":1,"pear":2}']);
  expect((await ask("/nothing"))[0]).toBe(404);
  expect((await shop.app.request("/c-hello")).headers.get("pilotlight-run")).toMatch(/^[0-9a-f]{32}$/);
});

it("its server is started as the README says, and ends when it is told to", async () => {
  const server = spawn(process.execPath, ["--import", "tsx", "examples/embed/server.ts"], {
    cwd: ROOT,
    env: { ...process.env, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  atEnd(() => server.kill("SIGKILL"));
  const [line] = (await within(once(server.stdout, "data"), 20_000, "the address")) as [Buffer];
  const url = new URL("/c-hello", line.toString().trim());
  expect(await (await fetch(url)).text()).toBe("Hello from C!\n");
  server.kill("SIGTERM");
  const [code] = (await within(once(server, "exit"), 20_000, "its end")) as [number];
  expect(code).toBe(0);
});
