import { expect, it } from "vitest";
import { parseWrk } from "../../bench/support/wrk.js";

const OUTPUT = `Running 2s test @ http://127.0.0.1:8700/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.11ms    3.02ms  60.10ms   91.35%
    Req/Sec    12.59k     1.44k   14.81k    70.00%
  Latency Distribution
     50%  812.00us
     75%    2.41ms
     90%    4.87ms
     99%    1.02s 
  25186 requests in 2.00s, 4.53MB read
Requests/sec:  12590.64
Transfer/sec:      2.27MB
`;

it("reads rate and latency, in whatever unit wrk chose", () => {
  expect(parseWrk(OUTPUT)).toEqual({ requests: 25186, requestsPerSecond: 12590.64, p50: 0.812, p99: 1020, errors: [] });
});

it("tells of answers and connections that were not good", () => {
  const bad = OUTPUT.replace(
    "Requests/sec",
    "  Socket errors: connect 0, read 3, write 0, timeout 1\n  Non-2xx or 3xx responses: 17\nRequests/sec",
  );
  expect(parseWrk(bad).errors).toEqual(["socket errors: connect 0, read 3, write 0, timeout 1", "answers other than 2xx or 3xx: 17"]);
});

it("says what wrk printed when it printed something else", () => {
  expect(() => parseWrk("unable to connect to 127.0.0.1:1 Connection refused\n")).toThrow("unable to connect");
});
