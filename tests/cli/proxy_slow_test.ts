import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { fetchModel, MODEL } from "../hub/with_hub.ts";
import { startHub } from "../hub/hub_server.ts";
import { ServerProcess } from "../server/server_process.ts";
import { inFolder, startCliWith, TINY } from "./run_cli.ts";

/** An HTTP proxy that resolves some hosts and replies 503 for all others. */
async function startProxy(hosts: Readonly<Record<string, string>>): Promise<
  AsyncDisposable & { readonly url: string; readonly seen: readonly string[] }
> {
  const seen: string[] = [];
  const server = createServer((incoming, answer) => {
    const url = new URL(incoming.url ?? "");
    seen.push(url.host);
    const place = hosts[url.host];
    if (place === undefined) return void answer.writeHead(503).end("no such host");
    const { method, headers } = incoming;
    const outgoing = request(new URL(url.pathname + url.search, place), { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    incoming.pipe(outgoing);
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  assert(address !== null && typeof address === "object");
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}

/** Returns a port without a listener. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Runs `encode` in a folder. Returns its status and its output. */
async function encode(
  folder: string,
  env: Readonly<Record<string, string>>,
  ...options: string[]
): Promise<{ code: number; stderr: string }> {
  const clean = { NO_PROXY: "", no_proxy: "", http_proxy: "", all_proxy: "", ALL_PROXY: "" };
  const args = ["encode", "cute cat", "-o", "e.safetensors", "--no-store", ...options];
  const { code, stderr } = await startCliWith(folder, { ...clean, ...env }, ...args).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("servers on this machine are reached directly, whatever proxy is set", async () => {
  await inFolder(async (folder) => {
    await using proxy = await startProxy({});
    await using server = await new ServerProcess({ models: [TINY], store: `${folder}/server` }).listens();
    await using hub = startHub({ models: { [MODEL]: { main: TINY } } });
    const dead = `http://127.0.0.1:${closedPort()}`;
    for (const HTTP_PROXY of [proxy.url, dead]) {
      const remote = await encode(folder, { HTTP_PROXY }, "-m", TINY, "--executor", server.url);
      assert.equal(remote.code, 0, remote.stderr);
      const hubEnv = {
        HF_ENDPOINT: hub.endpoint,
        HF_HUB_CACHE: `${folder}/${HTTP_PROXY === dead}`,
        HF_TOKEN: "",
      };
      const downloaded = await encode(folder, { HTTP_PROXY, ...hubEnv }, "-m", MODEL);
      assert.equal(downloaded.code, 0, downloaded.stderr);
    }
    assert.deepEqual(proxy.seen, []);
  });
});

Deno.test("errors name a proxy that may be the cause, without its password", async () => {
  await inFolder(async (folder) => {
    await using proxy = await startProxy({});
    const address = `127.0.0.1:${closedPort()}`;
    const named = `HTTP_PROXY is set to http://${address}`;
    const HTTP_PROXY = `http://user:secret@${address}`;
    const hub = {
      HF_ENDPOINT: "http://hub.test",
      HF_HUB_CACHE: folder,
      HF_TOKEN: "",
      HF_TOKEN_PATH: "/dev/null",
    };
    const runs = [
      await encode(folder, { HTTP_PROXY }, "-m", TINY, "--executor", "http://pictures.test"),
      await encode(folder, { HTTP_PROXY, ...hub }, "-m", MODEL),
    ];
    for (const { code, stderr } of runs) {
      assert.equal(code, 1);
      assert.match(stderr, /error: .*(pictures|hub)\.test.*Connection refused/);
      assert.ok(stderr.includes(named), stderr);
      assert.ok(!stderr.includes("secret"), stderr);
    }
    // A proxy that replies instead of the server, and one that is bypassed.
    const answered = await encode(folder, { HTTP_PROXY: proxy.url, ...hub }, "-m", MODEL);
    assert.match(answered.stderr, new RegExp(`hub\\.test answers 503; HTTP_PROXY is set to ${proxy.url}`));
    const direct = await encode(folder, { HTTP_PROXY, NO_PROXY: "hub.test", ...hub }, "-m", MODEL);
    assert.match(direct.stderr, /error: .*hub\.test is unreachable/);
    assert.ok(!direct.stderr.includes("HTTP_PROXY"), direct.stderr);
  });
});

Deno.test("errors of the library name the proxy too", async () => {
  const script = `
    import { open } from ${JSON.stringify(new URL("../../local.ts", import.meta.url).href)};
    await using pix = await open({ executor: "http://pictures.test", store: false });
    await pix.encode("cute cat").catch((error) => console.log(error.message));
  `;
  const HTTP_PROXY = `http://user:secret@127.0.0.1:${closedPort()}`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", script],
    env: { HTTP_PROXY, NO_PROXY: "", no_proxy: "", http_proxy: "", all_proxy: "", ALL_PROXY: "" },
  }).output();
  const told = new TextDecoder().decode(stdout);
  assert.match(
    told,
    /pictures\.test.*HTTP_PROXY is set to http:\/\/127\.0\.0\.1/,
    new TextDecoder().decode(stderr),
  );
  assert.ok(!told.includes("secret"));
});

Deno.test("models are downloaded through a proxy", async () => {
  await inFolder(async (folder) => {
    await using hub = startHub({ models: { [MODEL]: { main: TINY } } });
    await using proxy = await startProxy({ "hub.test": hub.endpoint });
    const env = { HTTP_PROXY: proxy.url, HF_ENDPOINT: "http://hub.test", HF_HUB_CACHE: folder, HF_TOKEN: "" };
    const { code, stderr } = await encode(folder, env, "-m", MODEL);
    assert.equal(code, 0, stderr);
    assert.ok(proxy.seen.length > 0 && proxy.seen.every((host) => host === "hub.test"), proxy.seen.join());
    assert.ok(
      await fetchModel(MODEL, { cacheDir: folder, localFilesOnly: true, components: ["text_encoder"] }),
    );
  });
});
