import { recordingRuntime, target, write } from "/work/main/bench/records/node.mjs";
import { Pipeline } from "/work/main/bench/records/pipeline.ts";
import { percentile } from "/work/main/bench/support/statistics.ts";
import { setImmediate as turn } from "node:timers/promises";
const runtime: any = await recordingRuntime({ write: () => {} });
const pipeline = await Pipeline.of(runtime, "/hello-p2");
for (const k of [0,8,64]) for (let i=0;i<5;i++) { await pipeline.answer(target(k)); await turn(); }
const N=10000;
async function go(name: string, ask: any, before: any) {
  const s=new Float64Array(N), w=new Float64Array(N);
  for (let i=0;i<N;i++){ await before(); await turn(); const t=await ask(); s[i]=t.stage??t.whole; w[i]=t.whole; }
  console.log(name.padEnd(40), "stage", (1000*percentile(s,50)).toFixed(1), (1000*percentile(s,99)).toFixed(1), "whole", (1000*percentile(w,50)).toFixed(1));
}
const none=async()=>{}; const wr=()=>write(runtime,"unrelated");
const spin=(us:number)=>{const e=performance.now()+us/1000; while(performance.now()<e);};
const wrSpin=async()=>{await wr(); spin(100);};
const otherStore=async()=>{ await runtime.control.putEntry(runtime.operator,"default","elsewhere","x",Buffer.from("v"),undefined); };
const h=(k:number)=>pipeline.asks(target(k),"hit"), r=(p:string)=>pipeline.asks(p,"run");
for (let round=0;round<2;round++){
  for (const k of [0,8,64]) { await go(`hit ${k} quiet`,h(k),none); await go(`hit ${k} written`,h(k),wr); await go(`hit ${k} written, spin 100us`,h(k),wrSpin); await go(`hit ${k} other store written`,h(k),otherStore); }
  await go(`hit 8 quiet, spin`,h(8),async()=>spin(100));
  for (const p of ["/hello-p2","/hello-p3"]) { await go(p+" quiet",r(p),none); await go(p+" written",r(p),wr); }
}
await runtime.close();
