import { expect, test } from "vitest";
import { completed, missingOptional, platformOf } from "../../scripts/lib/lockfile.mjs";

const optionalDependencies = { "@tool/linux-x64-gnu": "1.0.0", "@tool/darwin-arm64": "1.0.0" };

test("entries that npm left out are put back, for the version that is asked for", () => {
  const lock = {
    packages: {
      "": {},
      "node_modules/tool": { version: "1.0.0", dev: true, optionalDependencies },
      "node_modules/@tool/linux-x64-gnu": { version: "1.0.0", dev: true, optional: true },
    },
  };
  const whole = completed(lock);
  expect(whole.packages["node_modules/@tool/darwin-arm64"]).toEqual({
    version: "1.0.0",
    dev: true,
    optional: true,
    os: ["darwin"],
    cpu: ["arm64"],
  });
  expect(missingOptional(whole)).toEqual([]);
  expect(completed(whole)).toEqual(whole);
});

test("a second version goes beside what asks for it", () => {
  const newer = { "@tool/linux-x64-gnu": "2.0.0" };
  const lock = {
    packages: {
      "": {},
      "node_modules/tool": { version: "1.0.0", optionalDependencies },
      "node_modules/user/node_modules/tool": { version: "2.0.0", optionalDependencies: newer },
    },
  };
  const { packages } = completed(lock);
  expect(packages["node_modules/@tool/linux-x64-gnu"]?.version).toBe("1.0.0");
  expect(packages["node_modules/user/node_modules/tool/node_modules/@tool/linux-x64-gnu"]?.version).toBe("2.0.0");
});

test("a platform is read from a name", () => {
  expect(platformOf("@oxfmt/binding-linux-arm-musleabihf")).toEqual({ os: ["linux"], cpu: ["arm"], libc: ["musl"] });
  expect(platformOf("@napi-rs/tar-linux-arm64-gnu")).toEqual({ os: ["linux"], cpu: ["arm64"], libc: ["glibc"] });
  expect(platformOf("@cloudflare/workerd-windows-64")).toEqual({ os: ["win32"], cpu: ["x64"] });
  expect(platformOf("@oxlint-tsgolint/darwin-arm64")).toEqual({ os: ["darwin"], cpu: ["arm64"] });
  expect(platformOf("@rolldown/binding-wasm32-wasi")).toEqual({ cpu: ["wasm32"] });
  expect(() => platformOf("fsevents")).toThrow("fsevents: its name does not say which platform it is for");
});
