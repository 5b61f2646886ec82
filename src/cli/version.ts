import { VERSION } from "../base/version.js";

export function version(): string {
  return VERSION;
}
