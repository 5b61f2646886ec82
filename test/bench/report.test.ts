import { expect, it } from "vitest";
import { render } from "../../bench/support/report.js";

it("prints what was asked and on what, the rows with numbers to the right, then ratios and figures by name", () => {
  const machine = { cpu: "A CPU", cores: 2, memoryGiB: 24, kernel: "6.18", node: "v20.20.2", load: 1.5, date: "2026-11-24T00:00:00.000Z" };
  const rows = [
    { contender: "ours", "requests/s": 12_590.64, how: "clean" },
    { contender: "theirs, tuned", "requests/s": 8927 },
  ];
  expect(render({ question: "how fast", machine, rows, ratios: { ours_vs_theirs: 1.41039 }, figures: { p99_us: 48.61234 } })).toBe(`
how fast
A CPU, 2 cores, 24 GiB, Linux 6.18, Node v20.20.2; NOISY: the load was 1.5 before it began

contender      requests/s  how
-------------  ----------  -----
ours                12591  clean
theirs, tuned        8927

ratios          value
--------------  -----
ours_vs_theirs   1.41

figures  value
-------  -----
p99_us   48.61
`);
});
