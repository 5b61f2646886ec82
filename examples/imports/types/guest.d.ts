// world acme:shop/guest@1.2.0
export type * as AcmeShopCatalogue120 from "./interfaces/acme-shop-catalogue.js"; // import acme:shop/catalogue@1.2.0
/**
 * What so many pieces of an article cost, in cents: a tenth less from ten on. The error says why there is no price.
 */
export function quote(id: string, pieces: number): bigint;
export type Result<T, E> = { tag: "ok"; val: T } | { tag: "err"; val: E };
