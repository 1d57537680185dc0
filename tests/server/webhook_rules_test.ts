import assert from "node:assert/strict";
import { main } from "../../cli.ts";
import { AllowedHosts, isPrivate, publicLookup } from "../../server/webhooks/allowed_hosts.ts";
import { signatureHeaders, webhookSecret } from "../../server/webhooks/signature.ts";

Deno.test("webhooks go only to allowed hosts and ports", () => {
  const hosts = new AllowedHosts(["hooks.example", "127.0.0.1:5678", "[::1]:80", "Other.Example:8443"]);
  const allowed = [
    "https://hooks.example/a?b=c",
    "http://hooks.example:80/",
    "https://HOOKS.example:443",
    "http://127.0.0.1:5678/x",
    "http://[::1]/",
    "https://other.example:8443/",
  ];
  for (const url of allowed) assert(hosts.allows(url), url);
  const refused = [
    "https://hooks.example:8443/",
    "https://a.hooks.example/",
    "https://hooks.example.evil/",
    "https://hooks.example@evil/",
    "https://user:pass@hooks.example/",
    "http://127.0.0.1/",
    "http://127.1:5679/",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "hooks.example",
    "",
  ];
  for (const url of refused) assert(!hosts.allows(url), url);
  assert(
    hosts.allows("http://2130706433:5678/"),
    "another spelling of 127.0.0.1, which the URL parser reads",
  );
  for (
    const bad of ["https://hooks.example", "a b", "", "hooks.example/path", "*.example", "u@hooks.example"]
  ) {
    assert.throws(() => new AllowedHosts([bad]), { code: "invalid_value" }, bad);
  }
});

Deno.test("a name that resolves to a private address receives nothing", async () => {
  const none = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
  ];
  const none6 = [
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "no address",
  ];
  for (const address of [...none, ...none6]) assert(isPrivate(address), address);
  for (const address of ["1.1.1.1", "172.32.0.1", "93.184.216.34", "2606:4700::1111"]) {
    assert(!isPrivate(address), address);
  }
  const resolved = (name: string) =>
    new Promise<unknown>((resolve, reject) =>
      publicLookup(name, { all: true }, (error, found) => error ? reject(error) : resolve(found))
    );
  await assert.rejects(resolved("localhost"), { code: "webhook_not_allowed" });
  assert.deepEqual(await resolved("1.1.1.1"), [{ address: "1.1.1.1", family: 4 }]);
});

Deno.test("signatures conform to Standard Webhooks", () => {
  const secret = webhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  const headers = signatureHeaders(
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1614265330,
    '{"test": 2432232314}',
    secret,
  );
  assert.deepEqual(headers, {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
  for (const bad of ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!", `whsec_${"A".repeat(100)}`]) {
    assert.throws(() => webhookSecret(bad), { code: "invalid_value" }, bad);
  }
});

Deno.test("serve sends no unsigned webhooks, and refuses invalid hosts", async () => {
  Deno.env.delete("PIXSTAGE_WEBHOOK_SECRET");
  assert.equal(await main(["serve", "--port", "0", "--webhook-allow", "hooks.example"]), 2);
});
