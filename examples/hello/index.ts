/** The first function: it greets, says what it was sent, and streams. */
import { json, serve, sleep, type GuestRequest, type GuestResponse } from "pilotlight/guest";

export const handler = serve(async (request) => {
  switch (request.path.replace(/^\/hello\/?/, "")) {
    case "":
      return `Hello from a WebAssembly component!\n`;
    case "echo":
      return { headers: { "content-type": request.header("content-type") ?? "application/octet-stream" }, body: request.body() };
    case "about":
      return json(about(request));
    case "ticks":
      return { headers: { "content-type": "text/event-stream" }, body: ticks(5) };
    case "throw":
      throw new Error("this becomes a 500, and the stack goes to the log");
    default:
      return hello(request.path.slice("/hello/".length));
  }
});

function hello(encoded: string): GuestResponse | string {
  try {
    return `Hello, ${decodeURIComponent(encoded)}!\n`;
  } catch {
    return { status: 400, body: "The name is not percent-encoded properly\n" };
  }
}

function about(request: GuestRequest): unknown {
  return { method: request.method, target: request.target, authority: request.authority, headers: request.headers };
}

async function* ticks(count: number): AsyncGenerator<string> {
  for (let tick = 0; tick < count; tick++) {
    if (tick > 0) await sleep(100);
    yield `data: ${tick}\n\n`;
  }
}
