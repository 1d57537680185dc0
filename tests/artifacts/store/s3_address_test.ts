import assert from "node:assert/strict";
import { isS3Address, parseS3Address } from "../../../artifacts/store/s3_address.ts";
import { InputError } from "../../../errors/pixstage_error.ts";
import { fc } from "../../random.ts";

Deno.test("parseS3Address() reads bucket, prefix, server and region", () => {
  const bucket = fc.stringMatching(/^[a-z0-9][a-z0-9-]{1,20}[a-z0-9]$/);
  const part = fc.stringMatching(/^[\w-]{1,10}$/);
  fc.assert(fc.property(bucket, fc.array(part, { maxLength: 3 }), fc.boolean(), (bucket, parts, slash) => {
    const path = parts.join("/");
    const address = parseS3Address(`s3://${bucket}/${path}${slash && path !== "" ? "/" : ""}`);
    const prefix = path === "" ? "" : `${path}/`;
    assert.deepEqual(address, { bucket, prefix, endpoint: undefined, region: undefined });
  }));
  const { endpoint, region } = parseS3Address("s3://cats?endpoint=http://127.0.0.1:9000&region=eu-central-1");
  assert.deepEqual([endpoint, region], ["http://127.0.0.1:9000", "eu-central-1"]);
});

Deno.test("parseS3Address() refuses everything else without repeating secrets", () => {
  for (
    const text of [
      ...[
        "s3://",
        "s3:///x",
        "s3://A",
        "s3://CATS/x",
        "s3://cats:9000/x",
        "s3://cats/a//b",
        "s3://cats/a%20b",
      ],
      ...["s3://key:swordfish@cats", "s3://cats?endpoint=ftp://h", "s3://cats?size=1", "s3://cats#x", "cats"],
    ]
  ) {
    assert.throws(() => parseS3Address(text), (error) => {
      assert.ok(error instanceof InputError, text);
      assert.ok(!error.message.includes("swordfish"));
      return true;
    }, text);
  }
  assert.deepEqual(["s3://a", "S3://a", "https://a"].map(isS3Address), [true, true, false]);
});
