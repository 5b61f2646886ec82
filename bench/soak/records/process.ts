/** A node in a process of its own, which its parent drives by messages and kills when it likes. */
import { openSubject, type Answer, type Subject } from "./subject.js";

export type Order = { readonly id: number } & (
  | { readonly what: "write"; readonly store: string; readonly key: string; readonly value?: string }
  | { readonly what: "read"; readonly store: string; readonly key: string }
  | { readonly what: "call"; readonly path: string; readonly headers?: Readonly<Record<string, string>>; readonly leaveMs?: number }
  | { readonly what: "deploy" | "secret" | "purge"; readonly text: string }
  | { readonly what: "ran" | "close" }
);

export type Done = { readonly id: number; readonly result?: Answer | string | number; readonly error?: string } | { readonly ready: true };

const [, , data = "", deployed = ""] = process.argv;
const subject = await openSubject(data, deployed === "true");
process.on("message", (order: Order) => {
  void (async () => {
    try {
      const result = await obey(subject, order);
      process.send?.({ id: order.id, ...(result !== undefined && { result }) } satisfies Done);
    } catch (error) {
      process.send?.({ id: order.id, error: String((error as Error).stack) } satisfies Done);
    }
    if (order.what === "close") process.exit(0);
  })();
});
process.once("disconnect", () => process.exit(1));
process.send?.({ ready: true } satisfies Done);

function obey(to: Subject, order: Order): Promise<Answer | string | number | void | undefined> {
  switch (order.what) {
    case "write":
      return to.write(order.store, order.key, order.value);
    case "read":
      return to.read(order.store, order.key);
    case "call":
      return to.call(order.path, order.headers, order.leaveMs);
    case "deploy":
      return to.deploy(order.text);
    case "secret":
      return to.secret(order.text);
    case "purge":
      return to.purge(order.text);
    case "ran":
      return to.ran();
    case "close":
      return to.close();
  }
}
