import { fileURLToPath } from "node:url";

/** The checkout these scripts belong to. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/[\\/]$/, "");
