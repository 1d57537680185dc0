/**
 * Prepares this process for the GPU of its first argument, and prints how CUDA and the driver's tool number two
 * GPUs. With `all` as second argument, all GPUs are visible.
 */

import process from "node:process";
import { cudaNumber, gpuName, prepareCuda } from "../../runtime/cuda_environment.ts";

const [index, visible] = process.argv.slice(2);
if (visible === "all") delete process.env["CUDA_VISIBLE_DEVICES"];
prepareCuda(`cuda:${index}`, { tf32: false, index: Number(index) });
process.stdout.write(JSON.stringify({
  cuda: [0, 1].map(cudaNumber),
  tool: [0, 1].map(gpuName),
  visible: process.env["CUDA_VISIBLE_DEVICES"]?.split(",").slice(0, 3),
  environment: process.env,
}));
