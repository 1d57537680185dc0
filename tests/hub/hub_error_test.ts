import assert from "node:assert/strict";
import { failure } from "./hub_server.ts";
import { HubError, type HubErrorCode, isRefusal, refusedBy } from "../../hub/hub_error.ts";
import { MODEL, withHub } from "./with_hub.ts";

Deno.test("errors say that a model or a revision does not exist", async () => {
  await withHub(async ({ server, resolve }) => {
    await assert.rejects(resolve("org/none"), {
      code: "model_not_found",
      message: /org\/none: .* has no such model/,
    });
    await assert.rejects(resolve(MODEL, { revision: "v9" }), {
      code: "revision_not_found",
      message: /no revision v9/,
    });
    assert.equal(server.requests.length, 2);
  });
});

Deno.test("refusedBy() explains a reply of the hub, and says what to do", () => {
  const url = new URL("http://hub.test/api/models/org/tiny");
  const access = { endpoint: "http://hub.test", token: "hf_1", tokenSource: "HF_TOKEN" };
  const cases: readonly [answer: Response, code: HubErrorCode, told: RegExp][] = [
    [
      failure(401),
      "unauthorized",
      /\(401\)\. The access token from HF_TOKEN may not read it or has expired$/,
    ],
    [
      failure(403, "GatedRepo"),
      "unauthorized",
      /\. Accept them on http:\/\/hub\.test\/org\/tiny, then set HF_TOKEN/,
    ],
    [
      failure(401, "RepoNotFound"),
      "model_not_found",
      /http:\/\/hub\.test has no such model, or it is private \(401\)/,
    ],
    [failure(404, "EntryNotFound"), "file_not_found", /\/api\/models\/org\/tiny no longer exists/],
    [
      failure(404, "RevisionNotFound"),
      "revision_not_found",
      /no revision v1\. .*hub\.test\/org\/tiny\/tree\/main$/,
    ],
    [failure(429), "unreachable", /answers 429\. Try again later$/],
    [failure(502), "unreachable", /answers 502\. Try again later$/],
    [failure(418), "unreachable", /hub\.test\/api\/models\/org\/tiny answers 418$/],
  ];
  for (const [answer, code, told] of cases) {
    const error = refusedBy(answer, url, access, "org/tiny", "v1");
    assert.equal(error.code, code);
    assert.match(error.message, told);
    assert.match(error.problem, /^Cannot download org\/tiny: /);
    assert.ok(isRefusal(error));
  }
  const { message } = refusedBy(failure(401), url, { ...access, token: undefined }, "org/tiny", "v1");
  assert.match(message, /needs HF_TOKEN set to an access token/);
  assert.ok(!isRefusal(new HubError("corrupt", "")) && !isRefusal(new Error("")));
});
