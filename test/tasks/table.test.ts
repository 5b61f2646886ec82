import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { TaskTable } from "../../src/tasks/table.js";
import { fakeTask } from "./fake-task.js";

describe("the table of tasks", () => {
  it("finds a task by its name and by its routes", () => {
    const table = new TaskTable();
    const a = fakeTask("a", { routes: ["/x/*", "/y"] });
    expect(table.put(a)).toBeUndefined();
    expect([table.get("a"), table.match("/x/1"), table.match("/y"), table.match("/z")]).toEqual([a, a, a, undefined]);
  });

  it("gives a task without routes its own name as one, and none to a task with an empty list", () => {
    const table = new TaskTable();
    table.put(fakeTask("plain"));
    table.put(fakeTask("hidden", { routes: [] }));
    expect(table.match("/plain/deep/below")?.name).toBe("plain");
    expect(table.match("/plain")?.name).toBe("plain");
    expect(table.match("/hidden")).toBeUndefined();
    expect(table.get("hidden")?.name).toBe("hidden");
  });

  it("replaces a task whole: the routes of the one before are gone", () => {
    const table = new TaskTable();
    const [first, second] = [fakeTask("a", { routes: ["/old", "/both"] }), fakeTask("a", { routes: ["/new", "/both"] })];
    table.put(first);
    expect(table.put(second)).toBe(first);
    expect([table.match("/old"), table.match("/both"), table.match("/new")]).toEqual([undefined, second, second]);
    expect(table.names()).toEqual(["a"]);
  });

  it("removes a task with its routes, once", () => {
    const table = new TaskTable();
    const a = fakeTask("a");
    table.put(a);
    expect(table.remove("a")).toBe(a);
    expect(table.remove("a")).toBeUndefined();
    expect([table.get("a"), table.match("/a"), table.names()]).toEqual([undefined, undefined, []]);
  });

  it("refuses a route that is another task's, names both, and leaves everything as it was", () => {
    const table = new TaskTable();
    const [a, b] = [fakeTask("a", { routes: ["/users/:id"] }), fakeTask("b", { routes: ["/b"] })];
    table.put(a);
    table.put(b);
    const message = "task b has the route /users/:name, which matches the same paths as /users/:id of task a; change one of them";
    expect(() => table.put(fakeTask("b", { routes: ["/c", "/users/:name"] }))).toThrow(new UserError(message));
    expect([table.match("/users/1"), table.match("/b"), table.match("/c"), table.get("b")]).toEqual([a, b, undefined, b]);
    expect(() => table.put(fakeTask("c", { routes: ["/b"] }))).toThrow(
      "task c has the route /b, which matches the same paths as /b of task b",
    );
    expect(table.names()).toEqual(["a", "b"]);
  });

  it("refuses a task that has one route twice", () => {
    expect(() => new TaskTable().put(fakeTask("a", { routes: ["/x", "/x"] }))).toThrow(
      "task a has the route /x, which matches the same paths as /x of task a",
    );
  });

  it("takes over a route that its owner has given up", () => {
    const table = new TaskTable();
    table.put(fakeTask("a", { routes: ["/x"] }));
    table.put(fakeTask("a", { routes: ["/y"] }));
    expect(() => table.put(fakeTask("b", { routes: ["/x"] }))).not.toThrow();
    expect(table.match("/x")?.name).toBe("b");
  });

  it("names its tasks in order", () => {
    const table = new TaskTable();
    for (const name of ["c", "a", "b"]) table.put(fakeTask(name));
    expect(table.names()).toEqual(["a", "b", "c"]);
  });
});
