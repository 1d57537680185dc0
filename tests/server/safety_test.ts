import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import { InputError } from "../../errors/pixstage_error.ts";
import { encodePng } from "../../images/png.ts";
import { PictureLinks } from "../../server/picture_links.ts";
import { createServer } from "../../server/create_server.ts";
import { main } from "../../cli.ts";
import { inFolder } from "../cli/run_cli.ts";
import { ServerProcess, TINY } from "./server_process.ts";
import { serving } from "./serving.ts";

Deno.test("a server with a key serves only the page and the health check without it", async () => {
  await using server = await serving({ apiKey: "secret-a" });
  for (
    const path of [
      "/v1/models",
      "/v1/jobs",
      "/v1/capabilities",
      "/metrics",
      `/v1/artifacts/${"0".repeat(64)}`,
    ]
  ) {
    const reply = await server.ask(path);
    assert.equal(reply.status, 401, path);
    assert.equal((await reply.json()).error.code, "invalid_api_key");
    const wrong = await server.ask(path, { headers: { authorization: "Bearer secret-x" } });
    assert.equal(wrong.status, 401);
    await wrong.body?.cancel();
  }
  for (const path of ["/healthz", "/", "/openapi.json", "/reference"]) {
    const reply = await server.ask(path);
    assert.equal(reply.status, 200, path);
    await reply.body?.cancel();
  }
});

Deno.test("the key can be in a header or in the page's cookie", async () => {
  await using server = await serving({ apiKey: "secret" });
  for (const headers of [{ authorization: "Bearer secret" }, { cookie: "pixstage_key=secret" }]) {
    const reply = await server.ask("/v1/models", { headers: headers as Record<string, string> });
    assert.equal(reply.status, 200);
    await reply.body?.cancel();
  }
});

Deno.test("refusals of other hosts, other origins, large bodies and unknown paths have the same shape", async () => {
  await using server = await serving({
    limits: { maxBodyBytes: 1000 },
    corsOrigins: ["https://friend.example"],
  });
  const refusals: [string, RequestInit, number, string][] = [
    ["/v1/models", { headers: { origin: "https://evil.example" } }, 403, "origin_not_allowed"],
    ["/v1/jobs", { method: "POST", body: "x".repeat(2000) }, 413, "too_large"],
    ["/v1/nothing", {}, 404, "not_found"],
    [
      "/v1/jobs",
      { method: "POST", body: "{}", headers: { "content-type": "text/plain" } },
      415,
      "unsupported_media_type",
    ],
    [
      "/v1/jobs",
      { method: "POST", body: "{", headers: { "content-type": "application/json" } },
      400,
      "bad_request",
    ],
  ];
  for (const [path, init, status, code] of refusals) {
    const reply = await server.ask(path, init);
    const { error } = await reply.json();
    assert.deepEqual([reply.status, error.code], [status, code], error.message);
    assert(reply.headers.get("x-request-id"));
  }
  const friend = await server.ask("/v1/models", { headers: { origin: "https://friend.example" } });
  assert.equal(friend.headers.get("access-control-allow-origin"), "https://friend.example");
  // Pages need them for MCP, for waiting, and for parts of artifacts.
  assert.match(
    friend.headers.get("access-control-expose-headers")!,
    /content-range.*etag.*mcp-session-id.*retry-after/,
  );
  await friend.body?.cancel();
  const page = await server.ask("/");
  assert.match(page.headers.get("content-security-policy")!, /default-src 'self'/);
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
  await page.body?.cancel();
});

Deno.test("pages of other origins may show the pictures of signed links, if any origin is allowed", async () => {
  const apiKey = "secret";
  const links = new PictureLinks(apiKey);
  const file = encodePng({ width: 1, height: 1, data: new Uint8Array(3) });
  for (const corsOrigins of [["https://friend.example"], []]) {
    await using server = await serving({ models: [], apiKey, corsOrigins });
    const headers = { authorization: `Bearer ${apiKey}` };
    const uploaded = await server.ask("/v1/pictures", { method: "POST", body: file, headers });
    const { artifact } = await uploaded.json();
    const path = `/v1/artifacts/${artifact}/images/0`;
    const policy = async (address: string): Promise<[number, string | null]> => {
      const reply = await server.ask(address, { headers });
      await reply.body?.cancel();
      return [reply.status, reply.headers.get("cross-origin-resource-policy")];
    };
    const isShared = corsOrigins.length > 0;
    const signed = links.link(path, new URLSearchParams({ format: "png" }));
    assert.deepEqual(await policy(signed), [200, isShared ? "cross-origin" : "same-origin"]);
    assert.deepEqual(await policy(signed.replace(/.$/, "")), [200, "same-origin"], "the signature is wrong");
    assert.deepEqual(await policy(path), [200, "same-origin"]);
    assert.deepEqual(await policy("/v1/models"), [200, "same-origin"]);
  }
});

Deno.test("serve refuses to listen beyond this machine without a key", async () => {
  assert.equal(await main(["serve", "--host", "0.0.0.0", "--port", "0", "--quiet"]), 2);
});

Deno.test("a key that no request can contain is refused at the start, and not shown", async () => {
  const store = await Deno.makeTempDir();
  for (const apiKey of ["", "two words", "line\n", "schlüssel", "tab\tkey"]) {
    await assert.rejects(createServer({ store, models: [], apiKey }), (error) => {
      assert(error instanceof InputError);
      assert.equal(error.code, "invalid_value");
      assert.match(error.message, /API key because it must consist of visible ASCII characters/);
      assert(apiKey === "" || !error.message.includes(apiKey));
      return true;
    });
  }
  await using server = new ServerProcess({ store, env: { PIXSTAGE_API_KEY: "two words" } });
  await assert.rejects(server.listens(), /error: Cannot use the API key .*character 4 is not allowed/);
  await Deno.remove(store, { recursive: true });
});

Deno.test("serve refuses to start if a given model is missing", async () => {
  const store = await Deno.makeTempDir();
  for (const model of ["nope", `nope=${store}`]) {
    await using server = new ServerProcess({ store, models: [TINY, model] });
    await assert.rejects(server.listens(), /error: Cannot serve model "nope": /);
  }
  await Deno.remove(store, { recursive: true });
});

Deno.test("the API document conforms to OpenAPI 3.1", async () => {
  await using server = await serving();
  const document = await (await server.ask("/openapi.json")).json();
  const validator = new Validator();
  assert.deepEqual(await validator.validate(document), { valid: true });
  assert.equal(validator.version, "3.1");
});

Deno.test("the server serves Prometheus metrics and the page with the API document", async () => {
  await using server = await serving();
  await server.ask("/healthz").then((reply) => reply.body?.cancel());
  await server.ask("/healthz", { method: "PROPFIND" }).then((reply) => reply.body?.cancel());
  const metrics = await (await server.ask("/metrics")).text();
  assert.match(metrics, /pixstage_http_requests_total\{method="GET",route="\/healthz",status="200"\} 1/);
  assert.match(metrics, /method="other",route="\/\*",status="405"\} 1/);
  assert.match(metrics, /pixstage_jobs_waiting 0/);
  assert.match(metrics, /process_resident_memory_bytes \d+/);
  const document = await (await server.ask("/openapi.json")).json();
  assert.equal(document.openapi, "3.1.0");
  assert(document.paths["/v1/images/generations"].post.requestBody.required);
  const bundle = await server.ask("/reference/bundle.js");
  assert(Number((await bundle.text()).length) > 1e6);
});

Deno.test("serve refuses --jobs without a store in S3, a store in S3 without keys, and links that never expire", async () => {
  await inFolder(async (folder) => {
    for (
      const wrong of [
        ["--store", folder, "--jobs", folder],
        ["--store", "s3://pictures", "--jobs", folder],
        ["--store", "s3://Pictures!", "--jobs", folder],
        ["--store", folder, "--link-lifetime", "0"],
        ["--store", folder, "--link-lifetime", "604801"],
      ]
    ) {
      assert.equal(await main(["serve", ...wrong, "--port", "0", "--quiet"]), 2, wrong.join(" "));
    }
  });
});
