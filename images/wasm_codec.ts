// This module is browser compatible.

/**
 * Codecs compiled to WebAssembly: how they are loaded, and how they get over a failure.
 *
 * @module
 */

import { FormatError } from "../errors/pixstage_error.ts";

/** The codecs, each a WebAssembly module of its own. */
export type WasmCodecName = "jpeg-decoder" | "jpeg-encoder" | "webp-decoder" | "webp-encoder";

/** How a codec of the @jsquash packages is started: its module where it should not fetch it, and Emscripten's options. */
type Init = (module: WebAssembly.Module | undefined, options: object) => Promise<unknown>;

/** A compiled module, or what compiles it when it is first used. */
type WasmModule = WebAssembly.Module | (() => Promise<WebAssembly.Module>);

const providedModules = new Map<WasmCodecName, WasmModule>();

/**
 * Hands in a codec's compiled module, for runtimes where a package cannot fetch its own `.wasm` file.
 *
 * Deno and browsers need not call this: there a codec fetches the file beside its JavaScript when it is first used
 * (under Deno from the npm cache, which needs read permission). Cloudflare Workers import the file and hand it in.
 *
 * @param name Which codec.
 * @param module Its module, or what compiles it when it is first used: `mozjpeg_dec.wasm`, `mozjpeg_enc.wasm` of @jsquash/jpeg, `webp_dec.wasm`,
 * `webp_enc_simd.wasm` of @jsquash/webp.
 */
export function provideWasmCodec(name: WasmCodecName, module: WasmModule): void {
  providedModules.set(name, module);
}

/** A codec that is started when first used, runs one job at a time, and is started anew after a failure. */
export class WasmCodec {
  readonly #name: WasmCodecName;
  readonly #init: Init;
  #started = false;
  #complaints: string[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param name Which codec.
   * @param init The `init` function of its @jsquash module.
   */
  constructor(name: WasmCodecName, init: unknown) {
    this.#name = name;
    // The packages' types leave out the first parameter, which their documentation and code have.
    this.#init = init as Init;
  }

  /**
   * Does a job with the codec.
   *
   * @param job The job.
   * @returns What the job returned.
   * @throws {FormatError} if the codec failed or complained of its input.
   * @throws {Error} if the codec could not be loaded.
   */
  run<T>(job: () => Promise<T>): Promise<T> {
    // Complaints belong to the job that is running, so jobs must not overlap.
    const result = this.#last.then(() => this.#run(job));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #run<T>(job: () => Promise<T>): Promise<T> {
    this.#complaints = [];
    let loaded = this.#started;
    try {
      if (!this.#started) {
        const note = (line: string) => void this.#complaints.push(line);
        const onRuntimeInitialized = () => loaded = true;
        const provided = providedModules.get(this.#name);
        await this.#init(typeof provided === "function" ? await provided() : provided, {
          print: note,
          printErr: note,
          onRuntimeInitialized,
        });
        this.#started = true;
      }
      const result = await job();
      if (this.#complaints.length === 0) return result;
    } catch (error) {
      // A module that exited or aborted cannot be used again.
      this.#started = false;
      if (!loaded) throw error;
      if (this.#complaints.length === 0) this.#complaints.push(String(error));
    }
    throw new FormatError(
      `Cannot run the ${this.#name} as its input must be sound: ${this.#complaints[0]}`,
    );
  }
}
