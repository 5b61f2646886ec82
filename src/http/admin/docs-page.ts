/** `/docs`: one page that renders `openapi.json`, with nothing from elsewhere. */
import { createHash } from "node:crypto";

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8886; }
details { margin: .4rem 0; padding: .3rem .6rem; border: 1px solid #8884; border-radius: .3rem; }
summary { cursor: pointer; }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .6rem; background: #8882; border-radius: .3rem; }
.method { display: inline-block; min-width: 4.2em; font-weight: 700; text-transform: uppercase; }
.note { opacity: .75; } table { border-collapse: collapse; } td, th { padding: .1rem .8rem .1rem 0; text-align: left; vertical-align: top; }
`;

// Everything from the document becomes text, never markup.
const SCRIPT = `
const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== undefined));
  return node;
};
const at = (api, ref) => ref.slice(2).split("/").reduce((value, part) => value[part], api);
function example(api, schema, seen = []) {
  if (schema.$ref) return seen.includes(schema.$ref) ? {} : example(api, at(api, schema.$ref), [...seen, schema.$ref]);
  if (schema.example !== undefined) return schema.example;
  if (schema.enum) return schema.enum.join(" | ");
  const choice = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choice) return example(api, choice[0], seen);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return [example(api, schema.items ?? {}, seen)];
  if (type === "object")
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, value]) => [name, example(api, value, seen)]));
  return schema.format ?? type ?? "anything";
}
const contents = (api, content) =>
  Object.entries(content ?? {}).map(([type, { schema }]) =>
    el("div", {}, el("code", {}, type), el("pre", {}, JSON.stringify(example(api, schema ?? {}), undefined, 2))),
  );
function operation(api, path, method, about) {
  const needsKey = (about.security ?? []).length > 0;
  const rows = (about.parameters ?? []).map((one) =>
    el("tr", {}, el("td", {}, el("code", {}, one.name)), el("td", {}, one.in), el("td", {}, one.description ?? one.schema?.description ?? "")),
  );
  const answers = Object.entries(about.responses).map(([status, answer]) => {
    const good = status.startsWith("2");
    return el("div", {}, el("b", {}, status), " " + answer.description, ...(good ? contents(api, answer.content) : []));
  });
  return el(
    "details", { id: about.operationId },
    el("summary", {}, el("span", { class: "method" }, method), el("code", {}, path), " ", el("span", { class: "note" }, about.summary + (needsKey ? "" : " (no key)"))),
    rows.length ? el("table", {}, ...rows) : undefined,
    ...(about.requestBody ? [el("h4", {}, "Body"), ...contents(api, about.requestBody.content)] : []),
    el("h4", {}, "Answers"), ...answers,
  );
}
function show(api) {
  const main = document.querySelector("main");
  main.replaceChildren(el("h1", {}, api.info.title), el("p", { class: "note" }, "version " + api.info.version));
  for (const paragraph of api.info.description.split("\\n\\n")) main.append(el("p", {}, paragraph));
  for (const { name } of api.tags) {
    main.append(el("h2", {}, name));
    for (const [path, methods] of Object.entries(api.paths))
      for (const [method, about] of Object.entries(methods)) if (about.tags.includes(name)) main.append(operation(api, path, method, about));
  }
}
fetch("openapi.json").then((answer) => answer.json()).then(show, (error) => {
  document.querySelector("main").textContent = "openapi.json could not be read: " + error.message;
});
`;

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

export const DOCS_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Pilotlight admin API</title><meta name="viewport" content="width=device-width"><style>${STYLE}</style></head>
<body><main>Reading openapi.json …</main><script>${SCRIPT}</script></body>
</html>
`;

/** Only the style and script above run, and only this node is asked. */
export const DOCS_POLICY = [
  "default-src 'none'",
  `style-src ${hash(STYLE)}`,
  `script-src ${hash(SCRIPT)}`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
