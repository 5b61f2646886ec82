/** A trace with chains in it: the requests of both in one order, and where in a chain each of them belongs. */
import type { Chains, Place, Signal } from "./chains.js";
import { TraceBuilder, type Trace, type TraceTask } from "./trace.js";

export interface MixedTrace {
  readonly trace: Trace;
  /** By run; undefined: it has nothing to do with chains. */
  readonly places: readonly (Place | undefined)[];
  readonly signals: readonly Signal[];
}

/** The chains' tasks come after those of the trace, and `silent` ones, which nobody asks for, after those. */
export function mixed(trace: Trace, { tasks, requests, signals }: Chains, silent: readonly TraceTask[] = []): MixedTrace {
  const builder = new TraceBuilder();
  const places: (Place | undefined)[] = [];
  const first = trace.tasks.length;
  let next = 0;
  const addChained = (until: number): void => {
    for (let request = requests[next]; request !== undefined && request.time <= until; request = requests[++next]) {
      builder.add(request.time, first + request.task, request.duration, request.bytes);
      places.push(request.place);
    }
  };
  for (let run = 0; run < trace.length; run++) {
    const time = trace.time[run] as number;
    addChained(time);
    builder.add(time, trace.task[run] as number, trace.duration[run] as number, trace.bytes[run] as number);
    places.push(undefined);
  }
  addChained(Number.POSITIVE_INFINITY);
  const chained = tasks.map(({ tenant, name, component }) => ({ tenant, name, component }));
  return { trace: builder.build([...trace.tasks, ...chained, ...silent]), places, signals };
}
