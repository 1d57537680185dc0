// This module is browser compatible.

/**
 * Every code that an error of pixstage can carry. Exit statuses and HTTP statuses follow only from this
 * table; docs/errors.md is generated from it.
 *
 * @module
 */

/**
 * The party that can fix an error:
 * - `caller`: the caller asked for something impossible and must ask for something else;
 * - `environment`: a disk, a network, a device, memory or a file caused the error, and the same call can
 *   succeed later;
 * - `bug`: pixstage, a plugin or a library broke its own rules.
 */
export type Fault = "caller" | "environment" | "bug";

/** The consequences of a code. */
export interface ErrorCodeEntry {
  /** The party that can fix the error. */
  readonly fault: Fault;
  /**
   * The HTTP status. The server sends clients only the messages of errors below 500; the others go to its
   * log.
   */
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 503 | 504 | 507;
  /** The problem in one sentence. */
  readonly meaning: string;
}

function caller<Status extends ErrorCodeEntry["status"]>(status: Status, meaning: string) {
  return { fault: "caller", status, meaning } as const;
}

function environment<Status extends ErrorCodeEntry["status"]>(status: Status, meaning: string) {
  return { fault: "environment", status, meaning } as const;
}

function bug(meaning: string) {
  return { fault: "bug", status: 500, meaning } as const;
}

/** All codes. A code is never renamed, because programs compare codes. */
export const ERROR_CODES = {
  // Values
  usage: caller(400, "A command was called with arguments that do not go together."),
  invalid_value: caller(400, "An option, a parameter or a field has an invalid value."),
  out_of_range: caller(400, "A number is too small, too large or not an integer."),
  invalid_shape: caller(
    400,
    "A tensor or a picture has a shape, length or type that its use does not allow.",
  ),
  invalid_json: caller(400, "A text that must be JSON is not."),
  invalid_artifact: caller(400, "An artifact lacks content that its use requires."),

  // Graphs
  invalid_graph: caller(400, "A graph is invalid: `details.issues` lists the problems."),
  invalid_document: caller(400, "A graph document does not follow the schema."),
  empty_graph: caller(400, "A graph has no nodes."),
  unknown_stage: caller(400, "A node names a stage that is not registered."),
  invalid_parameter: caller(400, "A parameter of a stage has an invalid value."),
  unknown_port: caller(400, "A node connects a port that its stage does not have."),
  missing_input: caller(400, "A port that a stage needs is not connected."),
  unknown_node: caller(400, "A graph refers to a node that it does not contain."),
  kind_mismatch: caller(400, "A port is connected to an artifact of another kind."),
  cycle: caller(400, "Nodes of a graph depend on one another in a cycle."),
  invalid_plugin: environment(500, "A plugin cannot be loaded, or provides no stages."),
  plugins_not_allowed: environment(400, "A graph names a plugin that the user has not allowed."),

  // Schedulers
  unknown_scheduler: caller(400, "No scheduler has this name."),
  invalid_scheduler_option: caller(
    400,
    "A scheduler has no such option, or the option does not accept this value.",
  ),
  invalid_schedule: caller(400, "A scheduler cannot lay out the requested steps."),

  // Models
  model_not_found: caller(404, "No model has this name, on this machine or on the hub."),
  revision_not_found: caller(404, "A model has no such branch, tag or commit."),
  unsupported_architecture: caller(
    400,
    "pixstage does not support the architecture or the configuration of a checkpoint.",
  ),
  unsupported: caller(400, "A model on the hub is not in diffusers' folder layout."),
  missing_variant: caller(400, "A checkpoint has no weights of the requested variant."),
  missing_component: environment(400, "A checkpoint lacks a component that the run needs."),
  missing_weight: environment(500, "A checkpoint lacks a tensor that its architecture needs."),
  weight_shape: environment(500, "The shape of a tensor in a checkpoint contradicts its configuration."),
  split_weights: environment(500, "The weights of one graph lie on several drives or servers."),
  invalid_checkpoint: environment(
    500,
    "A file of a checkpoint is missing, damaged, or contradicts another one.",
  ),
  adapter_not_found: caller(404, "No LoRA adapter has this name, on this machine or on the hub."),
  invalid_adapter: caller(400, "A LoRA adapter is damaged, of an unknown kind, or made for another model."),
  unauthorized: environment(500, "A server requires a token, or rejects the one it received."),
  unreachable: environment(500, "A server did not answer, even after several attempts."),
  offline: environment(500, "A file must be downloaded, but the network must not be used."),
  corrupt: environment(500, "Downloaded bytes differ from those that the hub announced."),
  request_failed: environment(500, "A server answered a request with an error."),

  // Files and machines
  invalid_file: environment(500, "The content of a file does not follow its format."),
  file_not_found: environment(500, "A file or a folder does not exist."),
  permission_denied: environment(500, "The system does not permit reading or writing a file."),
  not_permitted: environment(500, "Deno does not permit an operation. The message names the flag that does."),
  read_only: environment(500, "Files must be downloaded, but the cache cannot be written."),
  disk_full: environment(507, "The disk or the quota is full."),
  too_many_files: environment(500, "Too many files are open."),
  unusable_path: environment(500, "A path names a folder where a file is needed, or vice versa."),
  folder_in_use: environment(
    500,
    "A folder to be written has other content, or another process uses it.",
  ),
  file_system: environment(500, "The system refused to read or write a file for another reason."),
  store_damaged: environment(500, "A store contains damaged files."),
  not_reproduced: environment(500, "A result differs from the earlier one."),
  comparison_failed: environment(500, "One of the runs to be compared failed."),
  out_of_memory: environment(500, "Memory ran out."),
  memory_budget: environment(500, "No plan fits into the allowed memory."),
  machine_unfit: environment(500, "Something on this machine prevents any run: `doctor` says what."),
  device_unavailable: environment(500, "This machine has no such device, or no driver for it."),
  address_in_use: environment(500, "Another program listens at the address."),
  host_died: environment(500, "The process or worker that ran a stage ended before the stage did."),
  store_unavailable: environment(503, "The server cannot write to its store."),
  engine_closed: environment(503, "The server is shutting down."),

  // The server
  invalid_api_key: caller(401, "The API key is missing or wrong."),
  host_not_allowed: caller(403, "The request names a host that the server does not answer to."),
  origin_not_allowed: caller(403, "A page of another origin called the server."),
  webhook_not_allowed: caller(403, "A webhook was to go to a host that the server sends none to."),
  not_found: caller(404, "The server has nothing at this address."),
  method_not_allowed: caller(
    405,
    "The address does not accept this method: `Allow` lists those that it accepts.",
  ),
  stage_not_found: caller(404, "The server has no such stage."),
  artifact_not_found: caller(404, "The store does not contain this artifact."),
  job_not_found: caller(404, "The server has no such job."),
  session_not_found: caller(
    404,
    "The server has no such Model Context Protocol session, or has closed it.",
  ),
  cancelled: caller(409, "The job was cancelled."),
  job_over: caller(409, "The job has already ended."),
  job_not_over: caller(409, "The job has not ended yet."),
  hash_mismatch: caller(409, "The SHA-256 of an artifact's bytes differs from its id."),
  version_mismatch: caller(409, "The other side has another version of a stage or of the protocol."),
  too_large: caller(413, "The body of a request is too large."),
  unsupported_media_type: caller(415, "The body of a request is not JSON, or its header does not say so."),
  overloaded: environment(
    503,
    "The server had no time to check an order; try again after `Retry-After` seconds.",
  ),
  queue_full: environment(429, "Too many jobs are waiting; try again after `Retry-After` seconds."),
  bad_request: caller(400, "A request is not valid HTTP, or its body is not valid JSON."),
  empty_body: caller(400, "A request has no body."),
  not_safetensors: caller(400, "The body of a request is not a safetensors file."),
  file_not_allowed: caller(400, "A graph sent over HTTP names a file of the server."),
  executor_not_allowed: caller(400, "A graph sent over HTTP specifies where its nodes run."),
  store_full: environment(507, "The server's store has reached its size limit."),
  lost: environment(500, "The store no longer contains a result."),
  too_many_attempts: environment(
    500,
    "The server ended several times while it ran a job that made no progress.",
  ),
  deadline_exceeded: environment(504, "A job did not end by its deadline."),
  interrupted: environment(503, "The run was interrupted."),

  // Bugs
  runtime_failed: bug("ONNX Runtime failed to open or run a graph."),
  broken_contract: bug("A stage returned an output that violates its ports."),
  internal: bug("An error that pixstage did not expect."),
} as const satisfies Readonly<Record<string, ErrorCodeEntry>>;

/** A code of {@linkcode ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The codes of one fault. */
export type CodeOf<F extends Fault> = {
  [Code in ErrorCode]: (typeof ERROR_CODES)[Code]["fault"] extends F ? Code : never;
}[ErrorCode];

/** The exit status of the command line, by fault. */
export const EXIT_STATUSES: Readonly<Record<Fault, number>> = { caller: 2, environment: 1, bug: 1 };

/** The exit status after an `AbortError`: shells expect 128 plus the number of the signal, here SIGINT. */
export const ABORT_STATUS = 130;

/** Returns whether a text is a code of {@linkcode ERROR_CODES}. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}
