/**
 * The order in which the site lists its documents.
 *
 * @module
 */

/** The groups of the sidebar: the text and the page of each entry. */
export const GROUPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Start: {
    "What pixstage is": "source/README",
    "Gallery": "gallery",
    "Models": "models",
    "Systems": "systems",
    "Node and npm": "node",
    "Containers": "container",
  },
  Tutorial: {
    "From nothing to a served model": "tutorial",
  },
  "How-to": {
    "Run in little memory": "low_memory",
    "Run on a GPU": "gpu",
    "Check the machine": "doctor",
    "Limit the permissions": "permissions",
    "Apply a LoRA": "lora",
    "Start from a picture": "pictures",
    "Follow a picture": "control",
    "Guide a run": "guidance",
    "Run many prompts": "prompts",
    "Resume and reproduce": "resume",
    "Spread over workers": "queue",
    "Embed in a Hono app": "embedding",
    "Run in a browser": "browser",
    "Put a gateway in front": "gateway",
    "Connect an assistant": "mcp",
    "Use AUTOMATIC1111's clients": "sdapi",
    "Write a stage": "plugins",
    "Write a scheduler": "scheduler_plugin",
    "Write an architecture": "architecture_plugin",
  },
  "How it works": {
    "From prompt to picture": "how_it_works",
    "Architecture of the code": "architecture",
    "Graphs": "graphs",
    "Artifacts": "artifacts",
    "Parity with diffusers": "parity",
  },
  Reference: {
    "Server": "server",
    "Schedulers": "schedulers",
    "Memory": "memory",
    "Devices": "devices",
    "Speed": "speed",
    "Errors": "errors",
    "API": "api/",
  },
};
