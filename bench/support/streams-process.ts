/** Streams of requests in a process of their own: `streams-process.ts SECONDS STREAMS` (as JSON) prints what became of each. */
import { answerPart } from "./part.js";
import { drive, type Stream } from "./streams.js";

const [seconds, streams] = process.argv.slice(2) as [string, string];
answerPart(await drive(JSON.parse(streams) as Stream[], Number(seconds)));
