/**
 * The Model Context Protocol server, with one tool that makes pictures and one that lists models.
 *
 * @module
 */

import type { StreamableHTTPTransport } from "@hono/mcp";
// Deno 2.9.6 does not find the library's types under the name of its code.
// @ts-types="@modelcontextprotocol/sdk/server/mcp"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import project from "../../deno.json" with { type: "json" };
import { ApiError } from "../api_error.ts";
import type { ServerContext } from "../context.ts";
import { generateImage, generateImageInput } from "./generate_image.ts";

/**
 * Opens the protocol server of one session.
 *
 * @param server The server's state.
 * @param transport Receives the session's requests.
 */
export async function openMcpServer(
  server: ServerContext,
  transport: StreamableHTTPTransport,
): Promise<void> {
  const { models, loras, sessions } = server;
  const mcp = new McpServer({ name: "pixstage", title: "pixstage", version: project.version });
  mcp.registerTool("generate_image", {
    title: "Generate a picture",
    description:
      "Generates pictures from a text with PixArt on this machine. Takes seconds to minutes. The answer contains " +
      "the pictures and a text with their seeds, addresses and settings.",
    inputSchema: generateImageInput,
    annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: false },
  }, (input, { signal, sendNotification, _meta }) => {
    const { progressToken } = _meta ?? {};
    const onProgress = progressToken === undefined
      ? undefined
      : (progress: number, total: number, message: string) =>
        sendNotification({
          method: "notifications/progress",
          params: { progressToken, progress, total, message },
        });
    return sessions.during(transport, async (client) => {
      if (!client) throw new ApiError("interrupted", "The session was closed");
      try {
        return await generateImage(input, { client, signal, onProgress }, server);
      } catch (error) {
        // The protocol passes the message to the model, which can then change its request.
        throw ApiError.from(error);
      }
    });
  });
  mcp.registerTool("list_models", {
    title: "List models",
    description:
      "Lists the models that generate_image can use, with their sizes and defaults, and the LoRA adapters.",
    inputSchema: {},
    annotations: { readOnlyHint: true, openWorldHint: false },
  }, () => {
    const listed = models.map((
      { name, family, width, height, steps, guidanceScale, scheduler, defaults },
    ) => ({
      name,
      family,
      description: defaults.description,
      width,
      height,
      steps,
      guidance_scale: guidanceScale,
      scheduler,
    }));
    const adapters = loras.map(({ name, models }) => ({ name, models }));
    return {
      content: [{ type: "text", text: JSON.stringify({ models: listed, loras: adapters }, undefined, 2) }],
    };
  });
  await mcp.connect(transport);
}
