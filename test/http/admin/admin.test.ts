/** The admin API over a control plane in memory; `suite.ts` says what holds. */
import { FakeControl } from "./fake-control.js";
import { adminSuite } from "./suite.js";

adminSuite("a control plane in memory", () => {
  const control = new FakeControl();
  const components = [Buffer.from("\0asm one"), Buffer.from("\0asm two")] as const;
  return { control, rootKey: control.rootKey, components };
});
