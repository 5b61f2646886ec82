/** Tasks, their versions and aliases; deploys. */
import { ProblemError } from "../../base/problem.js";
import type { AliasView, Control, DeployInput, TaskView } from "../../control/control.js";
import { document, done, invalid } from "./answers.js";
import { jsonBody, optionalJsonBody } from "./bodies.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";
import { listed, pathTo } from "./tenants.js";
import { turns } from "./turns.js";
import { uploadBody } from "./upload.js";

const taskPage = schemas.pageOf(schemas.task, "TaskPage");
const versionPage = schemas.pageOf(schemas.version, "VersionPage");

export function addTasks({ add }: Routes, control: Control): void {
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/tasks",
      tag: "Tasks",
      summary: "The tasks of a tenant",
      query: schemas.page,
      success: [{ status: 200, description: "A page of them", schema: taskPage }],
    },
    ({ caller, params, query }) => document(taskPage, listed(control.tasks(caller, params.tenant, query))),
  );
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/tasks/{task}",
      tag: "Tasks",
      summary: "A task with its aliases, routes and addresses",
      conditions: "match",
      success: [{ status: 200, description: "The task", schema: schemas.task }],
    },
    ({ caller, params }) => {
      const task = control.task(caller, params.tenant, params.task);
      return document(schemas.task, task, { revision: task.revision });
    },
  );
  add(
    {
      method: "delete",
      path: "/v1/tenants/{tenant}/tasks/{task}",
      tag: "Tasks",
      summary: "Deletes a task with its aliases and versions; runs that go on finish",
      conditions: "match",
      success: [{ status: 204, description: "It is gone" }],
    },
    async ({ caller, params, ifRevision }) => {
      await control.deleteTask(caller, params.tenant, params.task, ifRevision);
      return done();
    },
  );
}

export function addVersions({ add }: Routes, control: Control, uploadBytes: number): void {
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/tasks/{task}/versions",
      tag: "Versions",
      summary: "The versions of a task",
      query: schemas.page,
      success: [{ status: 200, description: "A page of them", schema: versionPage }],
    },
    ({ caller, params, query }) => document(versionPage, listed(control.versions(caller, params.tenant, params.task, query))),
  );
  add(
    {
      method: "post",
      path: "/v1/tenants/{tenant}/tasks/{task}/versions",
      tag: "Versions",
      summary: "Deploys: an upload becomes a version, is made ready, and then the alias moves to it",
      body: uploadBody(uploadBytes),
      turns: turns(4, 60, "deploys"),
      success: [
        { status: 201, description: "A new version", schema: schemas.deployed },
        { status: 200, description: "These bytes and this manifest were a version already", schema: schemas.deployed },
      ],
      // Throws for a tenant that the caller does not see: its upload is not worth the memory.
      before: ({ caller, params }) => void control.tasks(caller, params.tenant, { limit: 1 }),
    },
    async ({ caller, params, body }) => {
      checkName(body.manifest, params.task);
      const deployed = await control.deploy(caller, params.tenant, body satisfies DeployInput);
      const location = pathTo("tenants", params.tenant, "tasks", deployed.task, "versions", deployed.version);
      return document(schemas.deployed, deployed, { status: deployed.created ? 201 : 200, location });
    },
  );
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/tasks/{task}/versions/{version}",
      tag: "Versions",
      summary: "A version and its manifest",
      success: [{ status: 200, description: "The version", schema: schemas.version }],
    },
    ({ caller, params }) =>
      document(schemas.version, control.version(caller, params.tenant, params.task, schemas.versionLabel(params.version))),
  );
  add(
    {
      method: "delete",
      path: "/v1/tenants/{tenant}/tasks/{task}/versions/{version}",
      tag: "Versions",
      summary: "Deletes a version that no alias leads to",
      success: [{ status: 204, description: "It is gone" }],
    },
    async ({ caller, params }) => {
      await control.deleteVersion(caller, params.tenant, params.task, schemas.versionLabel(params.version));
      return done();
    },
  );
}

/** A manifest without a name is refused with everything else that is wrong with it. */
function checkName(manifest: unknown, task: string): void {
  const name = typeof manifest === "object" && manifest !== null && "name" in manifest ? manifest.name : undefined;
  if (typeof name === "string" && name !== task)
    throw invalid([
      {
        field: "manifest.name",
        message: `is ${JSON.stringify(name.slice(0, 100))} in the manifest and ${JSON.stringify(task)} in the path`,
      },
    ]);
}

export function addAliases({ add }: Routes, control: Control): void {
  const path = "/v1/tenants/{tenant}/tasks/{task}/aliases/{alias}";
  const shown = { status: 200, description: "The alias", schema: schemas.alias } as const;
  add(
    { method: "get", path, tag: "Aliases", summary: "Where an alias leads", conditions: "match", success: [shown] },
    ({ caller, params }) => {
      const alias = aliasOf(control.task(caller, params.tenant, params.task), params.alias);
      return document(schemas.alias, alias, { revision: alias.revision });
    },
  );
  add(
    {
      method: "put",
      path,
      tag: "Aliases",
      summary: "Leads an alias to a version, or by weight to several",
      body: jsonBody(schemas.aliasInput),
      conditions: "match-or-absent",
      success: [shown],
    },
    async ({ caller, params, body, ifRevision }) => {
      const targets = Object.fromEntries(Object.entries(body.targets).map(([name, weight]) => [schemas.versionLabel(name), weight]));
      const settings = { targets, sticky: body.sticky };
      const alias = await control.setAlias(caller, params.tenant, params.task, params.alias, settings, ifRevision);
      return document(schemas.alias, alias, { revision: alias.revision });
    },
  );
  add(
    {
      method: "delete",
      path,
      tag: "Aliases",
      summary: "Deletes an alias; live stays",
      success: [{ status: 204, description: "It is gone" }],
    },
    async ({ caller, params }) => {
      await control.deleteAlias(caller, params.tenant, params.task, params.alias);
      return done();
    },
  );
  add(
    {
      method: "post",
      path: `${path}/rollback`,
      tag: "Aliases",
      summary: "Back to what the alias was before its last change, or to a version",
      body: optionalJsonBody(schemas.rollbackInput),
      success: [shown],
    },
    async ({ caller, params, body }) => {
      const to = body.to === undefined ? undefined : schemas.versionLabel(body.to);
      const alias = await control.rollback(caller, params.tenant, params.task, params.alias, to);
      return document(schemas.alias, alias, { revision: alias.revision });
    },
  );
}

function aliasOf(task: TaskView, name: string): AliasView {
  const alias = task.aliases.find((one) => one.name === name);
  if (alias === undefined) throw new ProblemError("request/no-such-thing", `There is no alias ${name}.`);
  return alias;
}
