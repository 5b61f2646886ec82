/** Adds up what the parts of the test run counted, for the one closing line. */

/** @typedef {{ passed: number, failed: number }} Tally */

/**
 * @param {Tally[]} tallies
 * @returns {Tally}
 */
export function sum(tallies) {
  return tallies.reduce((all, { passed, failed }) => ({ passed: all.passed + passed, failed: all.failed + failed }), {
    passed: 0,
    failed: 0,
  });
}

/** @param {Tally} tally */
export function closingLine({ passed, failed }) {
  return `${passed} passed, ${failed} failed`;
}

/**
 * The tests in the output of `cargo test`. A run that failed without a failed test (it did not compile, a
 * test executable crashed) counts as one failure, so that the closing line never hides it.
 * @param {string} output
 * @param {number} status
 * @returns {Tally}
 */
export function cargoTally(output, status) {
  const results = [...output.matchAll(/test result: \S+ (\d+) passed; (\d+) failed;/g)];
  const counted = sum(results.map(([, passed, failed]) => ({ passed: Number(passed), failed: Number(failed) })));
  return withStatus(counted, status);
}

/**
 * The tests in a report of vitest's JSON reporter; undefined when it wrote none. A file that could not be
 * loaded counts as one failure, as does a run that failed for a reason outside any test.
 * @param {VitestReport | undefined} report
 * @param {number} status
 * @returns {Tally}
 */
export function vitestTally(report, status) {
  if (report === undefined) return withStatus({ passed: 0, failed: 0 }, status || 1);
  const unloaded = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
  return withStatus({ passed: report.numPassedTests, failed: report.numFailedTests + unloaded }, status);
}

/** @typedef {{ numPassedTests: number, numFailedTests: number, testResults: { status: string, assertionResults: unknown[] }[] }} VitestReport */

/**
 * @param {Tally} tally
 * @param {number} status
 * @returns {Tally}
 */
function withStatus({ passed, failed }, status) {
  return { passed, failed: status !== 0 && failed === 0 ? 1 : failed };
}
