import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { checkCommands } from "../docs/shell_commands.ts";

const FILE = new URL("../../container/compose.yaml", import.meta.url);

const serviceSchema = z.object({
  image: z.string(),
  command: z.array(z.string()),
  environment: z.record(z.string(), z.string()).default({}),
  volumes: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  healthcheck: z.object({ test: z.array(z.string()).optional() }).default({}),
  ports: z.array(z.string()).default([]),
});
const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.null()),
});

const { services, volumes } = composeSchema.parse(parse(readFileSync(FILE, "utf8"), { merge: true }));
const own = Object.entries(services).filter(([, { image }]) => image === "pixstage");

Deno.test("the compose file runs a server, a worker for each stage, a queue and a store", () => {
  assert.deepEqual(Object.keys(services), ["server", "worker-encode", "worker-denoise", "redis", "s3"]);
  const stages = own.flatMap(([, { command }]) =>
    command.includes("--stages") ? command[command.indexOf("--stages") + 1]!.split(",") : []
  );
  assert.deepEqual(stages.sort(), ["decode", "denoise", "encode"]);
});

Deno.test("the command line takes the commands of the compose file", async () => {
  for (const [name, { command }] of own) {
    const [checked] = await checkCommands(`deno task ${command.join(" ")}`);
    assert.deepEqual([checked?.isChecked, checked?.fault], [true, undefined], name);
  }
});

Deno.test("the compose file's services share one queue and one store, and need only what there is", () => {
  for (const [name, { command, depends_on, environment, volumes: mounts }] of own) {
    assert(command.includes("redis://redis:6379") && command.includes("s3://pictures/pixstage"), name);
    assert.equal(environment["AWS_ENDPOINT_URL"], "http://s3:9000", name);
    for (const [needed, { condition }] of Object.entries(depends_on)) {
      assert(Object.hasOwn(services, needed), `${name} needs ${needed}`);
      if (condition === "service_healthy") assert(services[needed]?.healthcheck.test, needed);
    }
    for (const mount of mounts) assert(/^\w+:\/(?:models|store)$/.test(mount), `${name} mounts ${mount}`);
  }
  const mounted = Object.values(services).flatMap((service) =>
    service.volumes.map((mount) => mount.split(":")[0])
  );
  assert.deepEqual([...new Set(mounted)].sort(), Object.keys(volumes).sort());
});

Deno.test("secrets come from the environment, and only the server is reachable from outside", () => {
  for (const [name, { environment, ports }] of Object.entries(services)) {
    for (const [variable, value] of Object.entries(environment)) {
      if (/KEY$|SECRET/.test(variable)) assert.match(value, /^\$\{\w+:\?[^}]+\}$/, `${name}: ${variable}`);
    }
    assert.deepEqual(ports, name === "server" ? ["8000:8000"] : [], name);
  }
});
