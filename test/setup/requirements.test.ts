import { expect, test } from "vitest";
import { nodeProblem, onPath, rustProblem, withCargoBin } from "../../scripts/lib/requirements.mjs";

const good = { rustc: "1.95.0", cargo: "1.95.0", cc: "/usr/bin/cc", cargoBin: "/root/.cargo/bin" };

test("Node from 20.19 on will do", () => {
  for (const version of ["20.19.0", "20.20.2", "22.1.0", "24.0.0", "100.0.0"]) expect(nodeProblem(version, "node")).toBeUndefined();
});

test("an older Node is told what it is, what is needed and how to get it", () => {
  for (const version of ["20.18.3", "18.20.4", "9.0.0"]) expect(nodeProblem(version, "/usr/bin/node")).toContain(`this is Node ${version}`);
  expect(nodeProblem("18.20.4", "/usr/bin/node")).toMatchInlineSnapshot(`
    "Pilotlight needs Node 20.19 or newer; this is Node 18.20.4 (/usr/bin/node).
    Install a current one from https://nodejs.org or with a version manager (nvm install 24), then run the same command again."
  `);
});

test("Rust from 1.95 on, with a C compiler, will do", () => {
  for (const rustc of ["1.95.0", "1.96.1", "1.95.0-nightly", "2.0.0"]) expect(rustProblem({ ...good, rustc }, "linux")).toBeUndefined();
});

test("no Rust at all is one message", () => {
  expect(rustProblem({ ...good, rustc: undefined, cargo: undefined }, "linux")).toMatchInlineSnapshot(`
    "Building the addon needs Rust 1.95 or newer and a C compiler.
    No Rust was found: neither rustc nor cargo is on the PATH or in /root/.cargo/bin.
    Install it: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
    Then run the same command again."
  `);
});

test("a Rust that is too old is one message", () => {
  expect(rustProblem({ ...good, rustc: "1.94.1" }, "darwin")).toMatchInlineSnapshot(`
    "Building the addon needs Rust 1.95 or newer and a C compiler.
    This Rust is too old: rustc is 1.94.1.
    Update it: rustup update stable   (without rustup: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh)
    Then run the same command again."
  `);
});

test("rustc without cargo is said so", () => {
  expect(rustProblem({ ...good, cargo: undefined }, "linux")).toMatchInlineSnapshot(`
    "Building the addon needs Rust 1.95 or newer and a C compiler.
    cargo was not found; it belongs beside rustc.
    Install both: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
    Then run the same command again."
  `);
});

test("everything that is missing is in the same message", () => {
  expect(rustProblem({ ...good, rustc: undefined, cargo: undefined, cc: undefined }, "linux")).toMatchInlineSnapshot(`
    "Building the addon needs Rust 1.95 or newer and a C compiler.
    No Rust was found: neither rustc nor cargo is on the PATH or in /root/.cargo/bin.
    Install it: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
    No C compiler was found: there is no cc on the PATH.
    Install one: sudo apt-get install build-essential   (Fedora: sudo dnf install gcc; Alpine: apk add build-base)
    Then run the same command again."
  `);
});

test("Windows brings its own linker: no C compiler is asked for", () => {
  expect(rustProblem({ ...good, cc: undefined }, "win32")).toBeUndefined();
});

test("rustup's folder is looked into after the PATH, so a shell from before rustup finds it too", () => {
  const env = withCargoBin({ PATH: "/usr/bin", CARGO_HOME: "/opt/cargo" });
  expect(env.PATH).toMatch(/^\/usr\/bin.\/opt\/cargo.bin$/);
  expect(onPath("no-such-command", env)).toBeUndefined();
});
