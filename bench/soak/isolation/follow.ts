/** Follows a tenant's log as `pilotlight logs -f` does. */
import { get, type IncomingMessage } from "node:http";
import type { Place } from "./place.js";

export interface Follower {
  /** What has come so far, without what is the node's own; in an order that does not depend on when lines came. */
  text(): string;
  close(): void;
}

/** Rejects when the node does not let the tenant follow. */
export async function follow({ adminPort, names }: Place, tenant: string): Promise<Follower> {
  const headers = { "Pilotlight-Key": names.fill(`«${tenant}:k0.text»`) };
  const path = `/v1/tenants/${tenant}/logs?limit=1&follow=1`;
  const request = get({ host: "127.0.0.1", port: adminPort, path, headers, agent: false });
  const response = await new Promise<IncomingMessage>((resolve, reject) => request.on("response", resolve).on("error", reject));
  if (response.statusCode !== 200) throw new Error(`following the log of ${tenant} was answered ${response.statusCode}`);
  let came = "";
  response.setEncoding("utf8").on("data", (piece: string) => (came += piece));
  // It is torn down from here.
  response.on("error", () => {});
  request.on("error", () => {});
  return {
    text: () => names.mask(came).split("\n").sort().join("\n"),
    close: () => void request.destroy(),
  };
}
