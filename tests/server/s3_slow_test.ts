import assert from "node:assert/strict";
import { join } from "node:path";
import OpenAI from "openai";
import { decodePicture } from "../../images/picture.ts";
import { S3_SERVERS, S3Server } from "../artifacts/store/s3_servers.ts";
import { inFolder } from "../cli/run_cli.ts";
import { needing } from "../needing.ts";
import { REDIS, RedisServer } from "../queue/queue_servers.ts";
import { WorkerProcess } from "../queue/worker_process.ts";
import { ServerProcess } from "./server_process.ts";

const MODEL = "pixstage-emoji";
const ORDER = { request: { model: MODEL, prompts: ["cute cat"], seeds: ["3"], steps: 2 } };

for (const [name, need] of Object.entries(S3_SERVERS) as [keyof typeof S3_SERVERS, typeof REDIS][]) {
  Deno.test(needing(
    need,
    needing(REDIS, {
      name: `two servers with one queue and one store in S3 (${name}) share results, and links lead to S3`,
      async fn() {
        await using s3 = await S3Server.start(name);
        await using redis = await RedisServer.start();
        const store = "s3://pictures/shared";
        const { env } = s3;
        await using worker = await new WorkerProcess({
          queue: redis.address,
          store,
          stages: "encode,denoise,decode",
          env,
        }).works();
        await inFolder(async (folder) => {
          const start = (jobs: string) =>
            new ServerProcess({
              store,
              models: [MODEL],
              options: ["--queue", redis.address, "--jobs", join(folder, jobs), "--link-lifetime", "60"],
              env: { ...env, PIXSTAGE_API_KEY: "swordfish" },
            }).listens();
          await using first = await start("first");
          await using second = await start("second");

          // 1. The first server makes a picture. Its link needs no key and bypasses the server.
          const ask = async (server: ServerProcess) => {
            const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "swordfish", maxRetries: 0 });
            const fields = { response_format: "url" as const, seed: 3, steps: 2 };
            const { data } = await client.images.generate({ model: MODEL, prompt: "cute cat", ...fields });
            return data![0]!.url!;
          };
          const link = await ask(first);
          assert.equal(new URL(link).origin, s3.endpoint);
          assert.equal(new URL(link).searchParams.get("X-Amz-Expires"), "60");
          const file = await fetch(link);
          assert.equal(file.headers.get("content-type"), "image/png");
          const bytes = await file.bytes();
          assert.match(
            (await decodePicture(bytes)).metadata["parameters"]!,
            /^cute cat\nSteps: 2, .*Seed: 3/s,
          );
          const forged = await fetch(link.replace(/(?<=X-Amz-Signature=).{8}/, "00000000"));
          // moto does not check signatures.
          if (name === "rclone") assert.equal(forged.status, 403);
          await forged.body?.cancel();

          // 2. The second server finds the results, and serves the picture with its provenance.
          const jobsBefore = worker.done().length;
          const again = await ask(second);
          assert.equal(new URL(again).pathname, new URL(link).pathname);
          assert.equal(worker.done().length, jobsBefore);

          // 3. Only the server that accepted a job knows it, but both serve its pictures and artifacts.
          const headers = { authorization: "Bearer swordfish", "content-type": "application/json" };
          const body = JSON.stringify(ORDER);
          const { id } = await (await fetch(`${first.url}/v1/jobs`, { method: "POST", headers, body }))
            .json();
          const job = async (server: ServerProcess) =>
            await fetch(`${server.url}/v1/jobs/${id}`, { headers });
          let images: { url: string; artifact: string }[] = [];
          for (let tries = 0; images.length === 0 && tries < 200; tries++) {
            await new Promise((resolve) => setTimeout(resolve, 50));
            images = (await (await job(first)).json()).images;
          }
          const elsewhere = await job(second);
          assert.equal((await elsewhere.json()).error.code, "job_not_found");
          const picture = await fetch(`${second.url}${images[0]!.url}`, { headers });
          assert.deepEqual(await picture.bytes(), bytes);
          const artifact = await fetch(`${second.url}/v1/artifacts/${images[0]!.artifact}`, { headers });
          assert.equal(artifact.status, 200);
          await artifact.body?.cancel();

          // 4. The `store` command maintains the store in S3.
          const { removed, left } = await s3.store({ prefix: "shared/" }).collect(0);
          assert.ok(removed.files > 8);
          assert.equal(left.files, 0);
          assert.equal((await fetch(link)).status, 404);
        });
      },
    }),
  ));
}
