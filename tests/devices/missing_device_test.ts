import assert from "node:assert/strict";
import { localDevice, requireDevice } from "../../devices/local_devices.ts";
import { DEVICES } from "../../runtime/device.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { GraphBuilder } from "../../models/onnx/graph_builder.ts";
import { inFolder, runCli, TINY } from "../cli/run_cli.ts";

const facts = await Promise.all(DEVICES.map(localDevice));
const missing = facts.filter(({ reason }) => reason !== undefined);

Deno.test("a CPU is always available, and matches the reference", async () => {
  const cpu = facts.find(({ device }) => device === "cpu");
  assert(cpu?.float32 !== undefined && cpu.float32 < 1e-6, `${cpu?.float32}`);
  await requireDevice("cpu");
});

Deno.test("an unavailable device is refused with the reason and the available ones", async () => {
  for (const { device } of missing) {
    await assert.rejects(requireDevice(device as "cuda"), {
      name: "DeviceError",
      message: new RegExp(`^Cannot run on ${device} because [^\n]+[:;] devices here are cpu[^\n]*$`),
    });
    const g = new GraphBuilder();
    g.output("y", g.relu(g.input("x", "float32", ["n"])), ["n"]);
    await assert.rejects(new OnnxRuntimeNode({ device: device as "cuda" }).open(g.build("relu")), {
      name: "DeviceError",
      message: new RegExp(`^Cannot run on ${device} because `),
    });
  }
});

Deno.test("gen refuses an unavailable device before it reads weights", async () => {
  await inFolder(async (folder) => {
    for (const { device } of missing) {
      const { status, stdout, stderr } = await runCli(folder, "gen", "a car", "-m", TINY, "--device", device);
      assert.equal(status, 1);
      assert.equal(stdout, "");
      assert.match(
        stderr,
        new RegExp(`error: --device: Cannot run on ${device} because [^\n]+[:;] devices here are cpu\n$`),
      );
    }
  });
});

Deno.test({
  name: "without the Vulkan loader, a device that is refused is all that standard error says",
  ignore: !facts.some(({ reason }) => reason?.startsWith("the Vulkan loader is not installed")),
  async fn() {
    await inFolder(async (folder) => {
      for (const { device } of missing) {
        const { stderr } = await runCli(folder, "gen", "a car", "-m", TINY, "--device", device);
        assert.match(stderr, /^error: --device: Cannot run on [^\n]+[:;] devices here are cpu\n$/);
      }
      const { stdout, stderr } = await runCli(folder, "devices");
      assert.equal(stderr, "");
      // The command does not refer to itself.
      assert.match(stdout, /: the Vulkan loader is not installed\n +Install it with apt install libvulkan1 /);
      assert.doesNotMatch(stdout, /says how to install/);
    });
  },
});

Deno.test("gen refuses float16 on a CPU, and for the text encoder on every device", async () => {
  await inFolder(async (folder) => {
    const gen = (...args: string[]) => runCli(folder, "gen", "a car", "-m", TINY, ...args);
    for (const precision of ["float16", "denoise=float16"]) {
      const { status, stderr } = await gen("--precision", precision);
      assert.deepEqual([status, stderr], [
        2,
        "error: --precision: Cannot compute in float16 on cpu: it is slower there than float32, and less exact. " +
        "Choose float32, int8 or int4, or a GPU (webgpu, cuda)\n",
      ]);
    }
    const { status, stderr } = await gen("--precision", "encode=float16", "--device", "webgpu");
    assert.equal(status, 2);
    assert.match(
      stderr,
      /Cannot encode in float16 because the text encoder's values overflow it: choose float32, int8 or int4/,
    );
  });
});

Deno.test("devices lists the available devices, and why others are unavailable", async () => {
  await inFolder(async (folder) => {
    const { status, stdout } = await runCli(folder, "devices", "--json");
    assert.equal(status, 0);
    const listed = JSON.parse(stdout) as { device: string; reason?: string }[];
    assert.deepEqual(
      listed.map(({ device, reason }) => [device, reason]),
      facts.map(({ device, reason }) => [device, reason]),
    );
  });
});
