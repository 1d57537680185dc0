import assert from "node:assert/strict";
import { memoryTimeline } from "../../charts/memory_timeline.ts";
import { GPU_RUN } from "./gpu_run.ts";

Deno.test("a timeline shows each node, its peaks beside the predictions, and GPU memory only if known", () => {
  const drawn = memoryTimeline(GPU_RUN);
  assert.match(drawn, />a &lt;b&gt; &amp; c</);
  assert.match(drawn, /decode, predicted peak: 3.4 GB/);
  assert.match(drawn, />−9 %</);
  assert.match(drawn, />GPU memory</);
  const samples = GPU_RUN.samples.map(({ seconds, resident }) => ({ seconds, resident }));
  const spans = GPU_RUN.spans.map(({ node, stage, start, end }) => ({ node, stage, start, end }));
  assert.doesNotMatch(memoryTimeline({ ...GPU_RUN, samples, spans }), /GPU/);
  assert.doesNotMatch(memoryTimeline({ ...GPU_RUN, samples: [] }), /class="curve"/);
});

Deno.test("a long run keeps its peaks, though a curve has few points", () => {
  const samples = Array.from({ length: 100_000 }, (_, index) => ({
    seconds: index / 20,
    resident: index === 50_000 ? 4e9 : 1e9,
  }));
  const [, curve = ""] = /class="curve" d="M([^"]+)"/.exec(memoryTimeline({ ...GPU_RUN, samples })) ?? [];
  const points = curve.split("L").map((point) => Number(point.split(" ")[1]));
  assert(points.length < 1000);
  assert.equal(points.filter((y) => y === Math.min(...points)).length, 1);
});
