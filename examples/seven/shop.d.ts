/** What the shop imports beside `pilotlight/guest`, as it really is there (`shop.wit`, `wit/pilotlight/task.wit`). */
declare module "example:shop/quote@1.0.0" {
  /** Throws an `Error` with the function's error value as its `payload`. */
  export function total(item: string, pieces: number): number;
}

declare module "pilotlight:task/identity@0.1.0" {
  export function caller(): { readonly subject: string; readonly claims: readonly (readonly [string, string])[] } | null;
}
