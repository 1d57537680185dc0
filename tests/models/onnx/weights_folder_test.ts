import assert from "node:assert/strict";
import { join } from "node:path";
import { tensor } from "../../../artifacts/tensor.ts";
import { GraphBuilder } from "../../../models/onnx/graph_builder.ts";
import { weightsFolder } from "../../../models/onnx/weights_folder.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { inFolder } from "../../cli/run_cli.ts";
import { fc } from "../../random.ts";

Deno.test("weights of one folder keep their file names", () => {
  const { folder, pathOf } = weightsFolder(["/a/b", "/a/b"]);
  assert.deepEqual([folder, pathOf({ folder: "/a/b", file: "w" })], ["/a/b", "w"]);
});

Deno.test("weights of several folders get paths relative to their nearest common ancestor", () => {
  const part = fc.stringMatching(/^[a-z .\\]{1,4}$/).filter((text) =>
    text.trim() !== "" && !/^\.+$/.test(text)
  );
  const path = fc.array(part, { maxLength: 4 });
  fc.assert(fc.property(fc.array(path, { minLength: 1, maxLength: 4 }), part, (paths, file) => {
    const folders = paths.map((parts) => `/${parts.join("/")}`);
    const { folder, pathOf } = weightsFolder(folders);
    for (const one of folders) {
      const name = pathOf({ folder: one, file });
      assert(!name.startsWith("/") && !name.split("/").includes(".."));
      assert.equal(`${folder}/${name}`.replace(/^\/+/, "/"), `${one}/${file}`.replace(/^\/+/, "/"));
    }
  }));
});

Deno.test("URLs and drives keep their own roots and are not mixed", () => {
  const web = weightsFolder(["https://host/models/a/", "https://host/loras/"]);
  assert.equal(web.folder, "https://host/");
  const address = new URL(web.pathOf({ folder: "https://host/loras/", file: "w?bytes=0-8" }), web.folder);
  assert.equal(address.href, "https://host/loras/w?bytes=0-8");
  const drive = weightsFolder(["C:\\models\\a", "C:\\loras"]);
  assert.equal(drive.folder, "C:\\");
  assert.equal(drive.pathOf({ folder: "C:\\models\\a", file: "w" }), "models/a/w");
  for (const others of [["https://host/a/", "https://other/a/"], ["C:\\a", "D:\\a"]]) {
    assert.throws(() => weightsFolder(others), { code: "split_weights" });
  }
});

Deno.test("one graph reads weights of two folders", () =>
  inFolder(async (folder) => {
    const g = new GraphBuilder();
    const x = g.input("x", "float32", ["n", 2]);
    const products = await Promise.all(["a", "b/c"].map(async (name, index) => {
      const place = join(await Deno.realPath(folder), name);
      await Deno.mkdir(place, { recursive: true });
      const values = Float32Array.of(1, 2, 3, 4).map((value) => value + 4 * index);
      await Deno.writeFile(join(place, "w.bin"), new Uint8Array(values.buffer));
      const location = { name, dtype: "float32", shape: [2, 2], folder: place, file: "w.bin" } as const;
      return g.gemm(x, g.weight({ ...location, offset: 0, length: 16 }));
    }));
    g.output("y", g.add(products[0]!, products[1]!), ["n", 2]);
    await using session = await new OnnxRuntimeNode().open(g.build("sum"));
    const { y } = await session.run({ x: tensor("float32", [1, 2], Float32Array.of(1, 1)) });
    assert.deepEqual(y?.data, Float32Array.of(14, 22));
  }));
