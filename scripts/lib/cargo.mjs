/**
 * Building the addon with cargo.
 *
 * Always with `--workspace`: without it cargo unifies features differently, and building and testing would
 * each compile wasmtime anew. Always with `--locked`: the lock file is what was tested.
 */
import { join } from "node:path";
import { runQuietly } from "./child.mjs";
import { cargoProgress } from "./progress.mjs";
import { withCargoBin } from "./requirements.mjs";

/**
 * Builds the workspace and gives the path of the addon's library.
 * @param {string} root
 * @param {string[]} args the profile, and the target if it is another
 * @param {(doing: string) => void} update hears how far it is
 */
export async function cargoBuild(root, args, update) {
  const manifest = join(root, "native/Cargo.toml");
  const fixed = ["build", "--workspace", "--locked", "--manifest-path", manifest, "--message-format=json-render-diagnostics"];
  const messages = await runQuietly("cargo", [...fixed, ...args], {
    cwd: root,
    env: {
      ...withCargoBin(process.env),
      CARGO_TERM_PROGRESS_WHEN: "always",
      CARGO_TERM_PROGRESS_WIDTH: "100",
      CARGO_TERM_COLOR: "never",
    },
    onLine: (line) => {
      const progress = cargoProgress(line);
      if (progress !== undefined) update(progress);
    },
    keep: (line) => line.trim() !== "" && !/^\s+Building \[/.test(line),
    quietStdout: true,
  });
  return builtLibrary(messages);
}

/**
 * The addon's library among the messages of a build: wherever the user's target folder is.
 * @param {string} messages
 */
export function builtLibrary(messages) {
  for (const line of messages.split("\n")) {
    if (!line.includes('"compiler-artifact"') || !line.includes('"pilotlight_native"')) continue;
    const { filenames } = /** @type {{ filenames: string[] }} */ (JSON.parse(line));
    const library = filenames.find((file) => /\.(so|dylib|dll)$/.test(file));
    if (library !== undefined) return library;
  }
  throw new Error("cargo built no pilotlight_native library");
}
