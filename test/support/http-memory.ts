/** How much memory a test holds while it streams. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Watches how far live buffers and heap grow beyond where they are now; garbage does not count. */
export function watchMemory(): { peakMiB(): number } {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const start = used();
  let peak = start;
  const timer = setInterval(() => (peak = Math.max(peak, used())), 20);
  return {
    peakMiB() {
      clearInterval(timer);
      return (peak - start) / 1024 / 1024;
    },
  };
}
