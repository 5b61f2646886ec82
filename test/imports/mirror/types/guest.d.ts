// world acme:db/guest@1.2.0
export type * as AcmeDbQuery120 from "./interfaces/acme-db-query.js"; // import acme:db/query@1.2.0
export * as query from "./interfaces/acme-db-query.js"; // export acme:db/query@1.2.0
