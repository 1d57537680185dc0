/**
 * `/mcp`: the Model Context Protocol over streamable HTTP. AI assistants use it to make pictures.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { ApiError } from "../api_error.ts";
import { queueClient } from "../client_name.ts";
import type { ServerContext, ServerEnv } from "../context.ts";
import { JSON_TYPE } from "../json_bounds.ts";
import { router } from "../router.ts";
import type { McpClient } from "../mcp/sessions.ts";
import { faults } from "./responses.ts";

/** The path of the endpoint. */
export const MCP_PATH = "/mcp";

const tags = ["Model Context Protocol"];
const SESSION = "mcp-session-id";

/** Maximum number of messages in a batch. */
const MOST_MESSAGES = 16;

const message = z.object({
  jsonrpc: z.literal("2.0"),
  id: z.union([z.string(), z.number()]).optional(),
  method: z.string().optional(),
  params: z.record(z.string(), z.unknown()).optional().openapi({ type: "object" }),
}).openapi("McpMessage");
const headers = z.object({ [SESSION]: z.string().optional() });
const stream = { "text/event-stream": { schema: z.string() } };

/** The operations as the OpenAPI document shows them. The protocol's own library parses their bodies. */
const documented = [
  createRoute({
    method: "post",
    path: MCP_PATH,
    operationId: "mcpMessage",
    tags,
    summary: "Receives a message of the Model Context Protocol",
    description:
      "Tools: `generate_image` and `list_models`. `initialize` opens a session and returns its id in the header " +
      "`Mcp-Session-Id`. A batch has at most 16 messages.",
    request: { headers, body: { required: true, content: { "application/json": { schema: message } } } },
    responses: {
      200: { description: "The response, after any notifications.", content: stream },
      202: { description: "The message needs no response." },
      ...faults,
    },
  }),
  createRoute({
    method: "get",
    path: MCP_PATH,
    operationId: "mcpStream",
    tags,
    summary: "Streams the messages that the server sends unasked",
    request: { headers },
    responses: { 200: { description: "The messages.", content: stream }, ...faults },
  }),
  createRoute({
    method: "delete",
    path: MCP_PATH,
    operationId: "mcpEnd",
    tags,
    summary: "Closes a session",
    request: { headers },
    responses: { 200: { description: "The session was closed." }, ...faults },
  }),
];

/** Creates the routes of the protocol. */
export function mcpRoutes(server: ServerContext) {
  const { sessions } = server;
  const routes = router();
  for (const operation of documented) routes.openAPIRegistry.registerPath(operation);
  const answer = async (context: Context<ServerEnv>): Promise<Response> => {
    const client = { queue: queueClient(context), address: context.env.address };
    const id = context.req.header(SESSION);
    if (id === undefined && context.req.method !== "POST") {
      throw new ApiError("bad_request", "Send the header Mcp-Session-Id", { param: `header.${SESSION}` });
    }
    const messages = context.req.method === "POST" ? await messagesOf(context) : undefined;
    const { transport } = id === undefined ? await openSession(server, client) : sessions.find(id, client);
    try {
      const response = await transport.handleRequest(context, messages);
      return withPlainHeaders(response ?? context.body(null, 202));
    } catch (error) {
      throw error instanceof HTTPException ? await protocolError(error) : error;
    }
  };
  return routes.route("/", new Hono<ServerEnv>().on(["GET", "POST", "DELETE"], MCP_PATH, answer));
}

/**
 * Loads the protocol's library, which blocks the event loop for about 90 ms. It loads on first use, because
 * it would delay the start of every server; `serve` loads it once it listens, before a request needs it.
 */
export function loadMcp() {
  return Promise.all([import("@hono/mcp"), import("../mcp/mcp_server.ts")]);
}

/**
 * Reads the messages of a request. The protocol's library accepts any media type that contains JSON's, also
 * those whose bodies nothing has bounded. Its time grows with the square of the number of messages.
 */
async function messagesOf(context: Context<ServerEnv>): Promise<unknown> {
  if (!JSON_TYPE.test(context.req.header("content-type") ?? "")) {
    throw new ApiError("unsupported_media_type", "Send JSON, with the header Content-Type: application/json");
  }
  let messages: unknown;
  try {
    messages = JSON.parse(await context.req.text());
  } catch {
    throw new ApiError("bad_request", "The body is not valid JSON");
  }
  if (Array.isArray(messages) && messages.length > MOST_MESSAGES) {
    throw new ApiError("too_large", `A batch must have at most ${MOST_MESSAGES} messages`);
  }
  return messages;
}

/** Opens a session. The server keeps it once the client has sent `initialize`. */
async function openSession(server: ServerContext, client: McpClient) {
  const { sessions } = server;
  await sessions.makeRoom();
  const [{ StreamableHTTPTransport }, { openMcpServer }] = await loadMcp();
  const transport = new StreamableHTTPTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
    onsessioninitialized: (id: string) => sessions.add(id, { transport, client }),
    onsessionclosed: (id: string) => sessions.end(id),
  });
  await openMcpServer(server, transport);
  return { transport };
}

/**
 * Removes the connection headers, because the listener decides whether the connection stays open, and keeps
 * proxies from buffering messages.
 */
function withPlainHeaders(response: Response): Response {
  for (const name of ["connection", "transfer-encoding"]) response.headers.delete(name);
  response.headers.set("x-accel-buffering", "no");
  return response;
}

const errorSchema = z.object({ error: z.object({ message: z.string() }) });

/** Converts an error of the protocol's library into the shape of all errors. */
async function protocolError(error: HTTPException): Promise<ApiError> {
  const body = await error.getResponse().json().catch(() => undefined);
  const message = errorSchema.safeParse(body).data?.error.message ?? error.message;
  const code = error.status === 415 ? "unsupported_media_type" : "bad_request";
  return new ApiError(code, message || "The message is not valid", { cause: error });
}
