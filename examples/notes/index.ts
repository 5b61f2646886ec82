/** Notes by name, kept in a store: what configuration, a secret and a store are to a function. */
import { config, json, openStore, serve, type GuestRequest, type GuestResponse } from "pilotlight/guest";

interface Note {
  readonly text: string;
  /** How often it has been written. */
  readonly edition: number;
}

const PREFIX = "note/";
/** Opened when it is first used: the top level runs while the component is built. */
const store = openStore("notes");

export const handler = serve(async (request) => {
  const name = /\/notes\/?(.*)$/.exec(request.path)?.[1] ?? "";
  if (request.method === "GET") return name === "" ? overview() : read(name);
  if (name === "" || (request.method !== "PUT" && request.method !== "DELETE"))
    return { status: 405, headers: { allow: "GET, PUT, DELETE" } };
  if (!mayWrite(request)) return { status: 401, headers: { "www-authenticate": "Bearer" }, body: "Writing needs the token.\n" };
  return request.method === "PUT" ? write(name, await request.text()) : remove(name);
});

function overview(): string {
  const names = [...store.keys(PREFIX)].map((key) => key.slice(PREFIX.length));
  return `${config.get("greeting") ?? "Hello"}! ${names.length === 0 ? "There are no notes." : `The notes: ${names.sort().join(", ")}`}\n`;
}

function read(name: string): GuestResponse {
  const note = store.getJson<Note>(PREFIX + name);
  return note === undefined ? { status: 404, body: "No such note.\n" } : json(note);
}

/** Two at once are two editions, whichever comes first: `updateJson` begins again when somebody else has written. */
function write(name: string, text: string): GuestResponse {
  const { edition } = store.updateJson<Note>(PREFIX + name, (now) => ({ text, edition: (now?.edition ?? 0) + 1 }));
  return json({ edition, writes: store.increment("writes") }, edition === 1 ? 201 : 200);
}

function remove(name: string): GuestResponse {
  store.delete(PREFIX + name);
  return { status: 204 };
}

/** Looks at every character of the token, whatever was sent. */
function mayWrite(request: GuestRequest): boolean {
  const wanted = `Bearer ${config.get("NOTES_TOKEN") ?? ""}`;
  const given = request.header("authorization") ?? "";
  let different = given.length ^ wanted.length;
  for (let at = 0; at < wanted.length; at++) different |= given.charCodeAt(at) ^ wanted.charCodeAt(at);
  return different === 0;
}
