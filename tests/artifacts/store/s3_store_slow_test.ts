import assert from "node:assert/strict";
import { join } from "node:path";
import { artifactId, encodeArtifact } from "../../../artifacts/artifact_file.ts";
import { outlineOf } from "../../../artifacts/outline.ts";
import { StoreRequestError } from "../../../artifacts/store/http_store.ts";
import type { S3Store } from "../../../artifacts/store/s3_store.ts";
import type { StoreDamage } from "../../../artifacts/store/store.ts";
import { inFolder, runCli, startCliWith } from "../../cli/run_cli.ts";
import { needing } from "../../needing.ts";
import { seededRandom } from "../../random.ts";
import { record, sampleArtifact } from "./samples.ts";
import { S3_SERVERS, S3Server } from "./s3_servers.ts";

const ARTIFACTS = 1000;

for (
  const [name, need] of Object.entries(S3_SERVERS) as [keyof typeof S3_SERVERS, typeof S3_SERVERS.moto][]
) {
  Deno.test(needing(need, {
    name: `S3Store fulfils the contract of stores on ${name}`,
    async fn() {
      await using server = await S3Server.start(name);
      const store = server.store();

      // Artifacts.
      const artifact = sampleArtifact(1);
      const id = await store.put(artifact);
      assert.equal(id, await artifactId(encodeArtifact(artifact)));
      assert.deepEqual(encodeArtifact((await store.get(id))!), encodeArtifact(artifact));
      assert.equal(await store.put(artifact), id);
      assert.deepEqual(await store.outline(id), { ...outlineOf(artifact) });
      const absent = await artifactId(sampleArtifact(9));
      assert.deepEqual(
        [await store.has(id), await store.has(absent), await store.get(absent), await store.outline(absent)],
        [true, false, undefined, undefined],
      );

      // Results.
      const [key, other] = [await artifactId(sampleArtifact(3)), await artifactId(sampleArtifact(4))];
      assert.equal(await store.result(key), undefined);
      await store.keepResult(key, record("first", id));
      await store.keepResult(other, record("second", id));
      assert.equal((await store.result(key))?.stage, "first");
      assert.equal((await store.madeBy(id))?.stage, "first");
      await store.removeResult(other);
      assert.equal(await store.result(other), undefined);

      // A large artifact is sent in parts. With a signed URL, anybody can read any range of it.
      const large = sampleArtifact(5, 9 * 2 ** 20);
      const largeId = await store.put(large);
      assert.deepEqual(await artifactId((await store.get(largeId))!), largeId);
      const signed = await fetch(await store.signedUrl(id, 60));
      assert.equal(await artifactId(new Uint8Array(await signed.arrayBuffer())), id);

      // Listing, and freeing space.
      const listed = (await Array.fromAsync(store.list())).map((entry) => entry.id);
      assert.deepEqual(listed.toSorted(), [id, largeId].toSorted());
      await store.delete(id);
      await store.delete(id);
      assert.equal(await store.has(id), false);
      const { removed, left } = await store.collect(1000);
      assert.ok(removed.files >= 1 && left.bytes <= 1000, JSON.stringify({ removed, left }));
    },
  }));

  Deno.test(needing(need, {
    name:
      `${ARTIFACTS} artifacts arrive complete on ${name} despite cut connections, 5xx replies and a slow server`,
    async fn() {
      await using server = await S3Server.start(name);
      const random = seededRandom();
      let faults = 0;
      /** Disturbs a request: there is no reply, the status is 500 or 503, or the body breaks off. */
      const harmed = async (request: Request): Promise<Response> => {
        const fate = random();
        if (fate < 0.02) {
          faults += 1;
          throw new TypeError("connection reset");
        }
        if (fate < 0.04) {
          faults += 1;
          return new Response("<Error><Code>InternalError</Code></Error>", { status: 500 });
        }
        const answer = await fetch(request);
        if (fate < 0.06) {
          // The server has done the work, but the client does not get the reply.
          faults += 1;
          await answer.body?.cancel();
          return new Response("", { status: 503, headers: { "retry-after": "0" } });
        }
        if (fate < 0.08 && request.method === "GET" && answer.ok && answer.body) {
          faults += 1;
          const half = new Uint8Array(await answer.arrayBuffer());
          return new Response(
            new ReadableStream({
              start(controller) {
                controller.enqueue(half.subarray(0, half.length / 2));
                controller.error(new TypeError("connection reset"));
              },
            }),
            answer,
          );
        }
        if (fate < 0.085) {
          faults += 1;
          await answer.body?.cancel();
          return await new Promise<never>(() => {});
        }
        return answer;
      };
      const told: string[] = [];
      const store = server.store({
        fetch: harmed,
        silenceMs: 1000,
        onRetry: (message) => told.push(message),
      });
      const ids: string[] = [];
      const put = async (first: number): Promise<void> => {
        for (let seed = first; seed < ARTIFACTS; seed += 8) {
          ids[seed] = await store.put(sampleArtifact(seed, 64));
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, client) => put(client)));
      assert.equal(new Set(ids).size, ARTIFACTS);
      const damages: StoreDamage[] = [];
      const check = async (first: number): Promise<void> => {
        for (let seed = first; seed < ARTIFACTS; seed += 8) {
          const found = await store.get(ids[seed]!, { onDamage: (damage) => damages.push(damage) });
          assert.equal(await artifactId(found!), ids[seed]);
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, client) => check(client)));
      assert.deepEqual(damages, []);
      assert.ok(faults > ARTIFACTS / 20 && told.length > ARTIFACTS / 20, `${faults} faults`);
      const listed = await Array.fromAsync(listIds(server, store));
      assert.deepEqual(listed.toSorted(), ids.toSorted());
    },
  }));

  Deno.test(needing(need, {
    name: `--store s3:// keeps and finds pictures on ${name}, and the store command maintains it`,
    async fn() {
      await using server = await S3Server.start(name);
      await inFolder(async (folder) => {
        const run = async (...args: string[]) => {
          const place = args.includes("--store") ? [] : ["--store", "s3://pictures/team"];
          const child = startCliWith(folder, server.env, ...args, ...place);
          const { code, stdout, stderr } = await child.output();
          const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
          return { code, stdout: text(stdout), stderr: text(stderr) };
        };
        const gen = ["gen", "cute cat", "--steps", "2", "--seed", "3"];
        const first = await run(...gen, "-o", "first.png");
        assert.equal(first.code, 0, first.stderr);
        const again = await run(...gen, "-o", "again.png", "--json");
        assert.equal((again.stdout.match(/"type":"stage:cached"/g) ?? []).length, 4, again.stdout);
        assert.deepEqual(
          await Deno.readFile(join(folder, "again.png")),
          await Deno.readFile(join(folder, "first.png")),
        );
        const listed = await run("store", "ls");
        assert.match(listed.stdout, /decode\n/);
        const collected = await run("store", "gc", "--max-size", "0");
        assert.match(collected.stdout, /\b0 files remain/);
        const verified = await run("store", "verify");
        assert.match(verified.stderr, /the store must be a folder/);

        const keyless = await runCli(folder, ...gen, "--store", "s3://pictures");
        assert.match(keyless.stderr, /AWS_ACCESS_KEY_ID/);
        assert.equal(keyless.status, 2);
        const nowhere = await run(...gen, "--store", "s3://PICTURES/x");
        assert.match(nowhere.stderr, /s3:\/\/BUCKET\/PREFIX/);
      });
    },
  }));
}

Deno.test(needing(S3_SERVERS.rclone, {
  name: "S3Store reports what a server refuses, and that it cannot be reached",
  async fn() {
    await using server = await S3Server.start("rclone");
    const id = await artifactId(sampleArtifact(1));
    const failure = async (store: S3Store): Promise<StoreRequestError> => {
      const error = await store.get(id).then(() => undefined, (error) => error);
      assert.ok(error instanceof StoreRequestError, String(error));
      return error;
    };
    const refused = await failure(server.store({ secretAccessKey: "guessed" }));
    assert.match(refused.message, /the server answered 403 \(\w+\); are AWS_ACCESS_KEY_ID .* right\?$/);
    assert.equal(refused.code, "unauthorized");
    const gone = await failure(server.store({ endpoint: "http://127.0.0.1:9" }));
    assert.match(gone.message, /^Cannot read s3:\/\/pictures\/\S+: .*(?:refused|blocked)/i);
    assert.equal(gone.code, "unreachable");
  },
}));

/** Lists the ids in a store over an undisturbed connection. */
async function* listIds(server: S3Server, store: S3Store): AsyncGenerator<string> {
  const prefix = store.name.replace("s3://pictures/", "");
  for await (const { id } of server.store({ prefix }).list()) yield id;
}
