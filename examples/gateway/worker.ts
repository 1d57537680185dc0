/**
 * The gateway as a Worker for Cloudflare or workerd.
 *
 * @module
 */

import { z } from "zod";
import { parseS3Address } from "../../artifacts/store/s3_address.ts";
import { S3Store } from "../../artifacts/store/s3_store.ts";
import { parseValue } from "../../errors/parse_value.ts";
import { catalogueSchema } from "./catalogue.ts";
import { createGateway } from "./gateway.ts";

const environmentSchema = z.object({
  /** Address of the server. */
  UPSTREAM: z.url({ protocol: /^https?$/ }),
  /** API key of the server. */
  UPSTREAM_KEY: z.string().min(1).optional(),
  /** API key that clients of the gateway must send. */
  API_KEY: z.string().min(1).optional(),
  /** The server's store, if it is in S3: `s3://BUCKET/PREFIX?endpoint=https://HOST&region=NAME`. */
  STORE: z.string().optional(),
  AWS_ACCESS_KEY_ID: z.string().default(""),
  AWS_SECRET_ACCESS_KEY: z.string().default(""),
});

/** The default export of a Worker's module. */
export interface GatewayWorker {
  fetch(request: Request, environment: unknown): Promise<Response>;
}

/**
 * Creates the Worker of a gateway.
 *
 * @param described The description of the models, from `catalogueOf`.
 */
export function gatewayWorker(described: unknown): GatewayWorker {
  let gateway: ReturnType<typeof createGateway> | undefined;
  return {
    async fetch(request, environment) {
      gateway ??= openGateway(described, environment);
      return await gateway.fetch(request);
    },
  };
}

function openGateway(described: unknown, environment: unknown): ReturnType<typeof createGateway> {
  const settings = parseValue(environmentSchema, environment);
  return createGateway({
    catalogue: parseValue(catalogueSchema, described),
    upstream: settings.UPSTREAM,
    upstreamKey: settings.UPSTREAM_KEY,
    apiKey: settings.API_KEY,
    store: settings.STORE === undefined ? undefined : openStore(settings.STORE, settings),
  });
}

function openStore(
  address: string,
  { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY }: z.infer<typeof environmentSchema>,
): S3Store {
  const { bucket, prefix, region = "us-east-1", endpoint } = parseS3Address(address);
  return new S3Store({
    bucket,
    prefix,
    region,
    endpoint: endpoint ?? `https://s3.${region}.amazonaws.com`,
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
  });
}
