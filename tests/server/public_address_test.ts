import assert from "node:assert/strict";
import { hostname } from "node:os";
import { InputError } from "../../errors/pixstage_error.ts";
import { main } from "../../cli.ts";
import { createServer, type ServerOptions } from "../../server/create_server.ts";
import { parseBasePath, proxyTrust, publicAddress } from "../../server/public_address.ts";
import { ServerProcess } from "./server_process.ts";

const PROXY = "10.0.0.1";

/** Returns the address under which a client that connects through `peer` reaches the server. */
function addressOf(headers: Record<string, string>, trust: readonly string[], peer = PROXY, basePath = "") {
  const remote: Deno.NetAddr = { transport: "tcp", hostname: peer, port: 5000 };
  const request = new Request("http://inside:8000/v1/models", {
    headers: { host: "inside:8000", ...headers },
  });
  return publicAddress(request, remote, { trust: proxyTrust(trust), basePath });
}

const ALL = {
  "x-forwarded-for": "203.0.113.7",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "Pictures.Example:8443",
  "x-forwarded-prefix": "/pixstage/",
};
const DIRECT = { client: PROXY, protocol: "http", host: "inside:8000", prefix: "" };
const FORWARDED = {
  client: "203.0.113.7",
  protocol: "https",
  host: "pictures.example:8443",
  prefix: "/pixstage",
};

Deno.test("proxy headers count only if the proxy is trusted", () => {
  assert.deepEqual(addressOf(ALL, []), DIRECT);
  assert.deepEqual(addressOf(ALL, ["192.0.2.0/24"]), DIRECT);
  assert.deepEqual(addressOf(ALL, ["192.0.2.0/24,2001:db8::/32"], "192.0.2.9"), FORWARDED);
  for (const trust of ["1", "10.0.0.1", "10.0.0.0/8", "::1, 10.0.0.1"]) {
    assert.deepEqual(addressOf(ALL, [trust]), FORWARDED, trust);
  }
  assert.deepEqual(addressOf(ALL, ["fd00::/8"], "fd00::3"), FORWARDED);
  assert.deepEqual(addressOf(ALL, ["10.0.0.0/8"], "::ffff:10.0.0.1"), FORWARDED);
});

Deno.test("entries that a client puts before those of the proxies do not count", () => {
  const chain = {
    "x-forwarded-for": "198.51.100.1, 203.0.113.7, 10.0.0.2",
    "x-forwarded-proto": "http, https, http",
  };
  assert.equal(addressOf(chain, ["1"]).client, "10.0.0.2");
  assert.deepEqual([addressOf(chain, ["2"]).client, addressOf(chain, ["2"]).protocol], [
    "203.0.113.7",
    "https",
  ]);
  assert.equal(addressOf(chain, ["10.0.0.0/8"]).client, "203.0.113.7");
  assert.equal(addressOf({ "x-forwarded-for": "198.51.100.1" }, ["5"]).client, "198.51.100.1");
  assert.equal(addressOf({ "x-forwarded-for": "unknown" }, ["1"]).client, PROXY);
  assert.equal(addressOf({ "x-forwarded-for": "[2001:db8::7]:4711" }, ["1"]).client, "2001:db8::7");
  assert.equal(addressOf({ "x-forwarded-for": "203.0.113.7:4711" }, ["1"]).client, "203.0.113.7");
  for (const prefix of ["//evil.example", "/a/../b?", "javascript:", "/a b"]) {
    assert.equal(addressOf({ "x-forwarded-prefix": prefix }, ["1"], PROXY, "/own").prefix, "/own", prefix);
  }
  assert.equal(addressOf({ "x-forwarded-host": "a/b@c" }, ["1"]).host, undefined);
});

Deno.test("Forwarded is read if there are no X-Forwarded- headers", () => {
  const forwarded = 'for="[2001:db8::7]:4711";proto=https;host="pictures.example", for=10.0.0.2;proto=http';
  const address = addressOf({ forwarded }, ["2"]);
  assert.deepEqual(address, {
    client: "2001:db8::7",
    protocol: "https",
    host: "pictures.example",
    prefix: "",
  });
  assert.equal(addressOf({ forwarded, "x-forwarded-for": "203.0.113.7" }, ["1"]).client, "203.0.113.7");
});

Deno.test("meaningless options are refused", async () => {
  for (const value of ["0", "proxy.example", "10.0.0.0/33", "10.0.0.0/", "", "::1/129"]) {
    assert.throws(() => proxyTrust([value]), InputError, value);
  }
  assert.deepEqual(["", "/", "pixstage", "/a/b/"].map(parseBasePath), ["", "", "/pixstage", "/a/b"]);
  for (const path of ["/a b", "/a//b", "/é", "/a?b"]) {
    assert.throws(() => parseBasePath(path), InputError, path);
  }
  for (
    const args of [["--allowed-host", "http://a.example"], ["--trust-proxy", "x"], ["--base-path", "/a?"]]
  ) {
    const store = await Deno.makeTempDir();
    assert.equal(
      await main(["serve", "--port", "0", "--quiet", "--store", store, ...args]),
      2,
      args.join(" "),
    );
    await Deno.remove(store, { recursive: true });
  }
});

/** Sends a request to a server without a listener, from the given client address. */
async function withServer(
  options: ServerOptions,
  use: (
    ask: (url: string, headers?: Record<string, string>, method?: string) => Promise<Response>,
  ) => Promise<void>,
): Promise<void> {
  const store = await Deno.makeTempDir();
  const server = await createServer({ store, models: [], ...options });
  const remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 5000 };
  await use(async (url, headers = {}, method = "GET") =>
    await server.fetch(new Request(url, { headers, method }), { remoteAddr })
  );
  await server.close();
  await Deno.remove(store, { recursive: true });
}

Deno.test("the server accepts this machine's names, IP addresses and allowed names as hosts", async () => {
  await withServer({ allowedHosts: ["pictures.example", "*.wild.example"] }, async (ask) => {
    const names = [
      "localhost:8000",
      "127.0.0.1",
      "[::1]:8000",
      "192.168.1.5:8000",
      "[fd00::3]",
      "PICTURES.example:1",
    ];
    for (const host of [...names, "a.wild.example", "a.b.wild.example", "pictures.example."]) {
      assert.equal((await ask("http://x/healthz", { host })).status, 200, host);
    }
    const others = [
      "rebound.example",
      "wild.example",
      "evilpictures.example",
      "pictures.example.evil",
      "0x7f.1",
    ];
    for (const host of others) {
      const { error } = await (await ask("http://x/healthz", { host })).json();
      assert.equal(error.code, "host_not_allowed", host);
      assert.match(error.message, /--allowed-host/);
    }
    for (const host of ["127.0.0.1%00.evil.com", "a@b", "[::1", "a b"]) {
      assert.equal((await (await ask("http://x/healthz", { host })).json()).error.code, "bad_request", host);
    }
    const forwarded = { host: "localhost", "x-forwarded-host": "rebound.example" };
    assert.equal((await ask("http://x/healthz", forwarded)).status, 200, "nobody is trusted");
  });
  await withServer({ trustProxy: ["1"] }, async (ask) => {
    const reply = await ask("http://x/healthz", { host: "localhost", "x-forwarded-host": "rebound.example" });
    assert.equal(reply.status, 403);
  });
  await withServer({ allowedHosts: ["*"] }, async (ask) => {
    assert.equal((await ask("http://x/healthz", { host: "any.example" })).status, 200);
  });
});

Deno.test("behind a proxy that rewrites Host, the server accepts its own page and refuses others", async () => {
  await withServer({ allowedHosts: ["pictures.example", "*.wild.example"] }, async (ask) => {
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await ask("http://x/v1/models", { host: "127.0.0.1:8000", ...headers })).status;
    assert.equal(await status({ origin: "http://127.0.0.1:8000" }), 200);
    assert.equal(await status({ origin: "https://pictures.example" }), 200);
    assert.equal(await status({ origin: "https://public.example", "sec-fetch-site": "same-origin" }), 200);
    assert.equal(await status({ origin: "https://evil.example", "sec-fetch-site": "cross-site" }), 403);
    for (
      const origin of [
        "https://pictures.example:444",
        "https://a.wild.example",
        "null",
        "http://127.0.0.1:8001",
      ]
    ) {
      assert.equal(await status({ origin }), 403, origin);
    }
  });
});

Deno.test("a server under a path is reachable with and without the path, and all its links include it", async () => {
  await withServer({ basePath: "/pixstage", trustProxy: ["1"] }, async (ask) => {
    for (const path of ["/pixstage/v1/models", "/v1/models"]) {
      assert.equal((await ask(`http://localhost${path}`)).status, 200, path);
    }
    assert.equal((await ask("http://localhost/pixstagev1/models")).status, 404);
    const redirect = await ask("http://localhost/pixstage");
    assert.deepEqual([redirect.status, redirect.headers.get("location")], [308, "/pixstage/"]);
    const servers = async (headers: Record<string, string>): Promise<unknown> =>
      (await (await ask("http://localhost/openapi.json", headers)).json()).servers;
    assert.deepEqual(await servers({}), [{ url: "/pixstage" }]);
    assert.deepEqual(await servers({ "x-forwarded-prefix": "/elsewhere" }), [{ url: "/elsewhere" }]);
    for (const page of ["/pixstage/", "/pixstage/reference", "/pixstage/reference/page.js"]) {
      const text = await (await ask(`http://localhost${page}`)).text();
      assert.doesNotMatch(text, /(?:src|href|url)[=:] ?"\//, page);
    }
  });
});

Deno.test("serve on a public address accepts the machine's names as hosts, or any host if it has a key", async () => {
  const store = await Deno.makeTempDir();
  const cases = [
    { args: ["--insecure"], env: {}, own: 200, other: 403 },
    { args: [], env: { PIXSTAGE_API_KEY: "secret" }, own: 200, other: 200 },
    {
      args: ["--allowed-host", "pictures.example"],
      env: { PIXSTAGE_API_KEY: "secret" },
      own: 403,
      other: 403,
    },
  ];
  for (const { args, env, own, other } of cases) {
    await using server = await new ServerProcess({ store, args: ["--host", "0.0.0.0", ...args], env })
      .listens();
    const port = Number(new URL(server.url).port);
    const status = async (host: string): Promise<number> => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const head = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      await connection.write(new TextEncoder().encode(head));
      return Number((await new Response(connection.readable).text()).split(" ")[1]);
    };
    assert.deepEqual(
      [await status("127.0.0.1"), await status(hostname()), await status("rebound.example")],
      [200, own, other],
      args.join(" "),
    );
  }
  await Deno.remove(store, { recursive: true });
});
