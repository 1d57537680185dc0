// This module is browser compatible.

/**
 * Codecs compiled to WebAssembly: how they are loaded, and how they recover from a failure.
 *
 * @module
 */

import { FormatError } from "../errors/pixstage_error.ts";

/** The codecs; each is a separate WebAssembly module. */
export type WasmCodecName = "jpeg-decoder" | "jpeg-encoder" | "webp-decoder" | "webp-encoder";

/**
 * The `init` function of a codec of the @jsquash packages: accepts a module that it must not fetch, and
 * Emscripten's options.
 */
type Init = (module: WebAssembly.Module | undefined, options: object) => Promise<unknown>;

/** A compiled module, or a function that compiles it on first use. */
type WasmModule = WebAssembly.Module | (() => Promise<WebAssembly.Module>);

const providedModules = new Map<WasmCodecName, WasmModule>();

/**
 * Provides a codec's compiled module, for runtimes in which a package cannot fetch its own `.wasm` file.
 *
 * Deno and browsers need no such call: a codec there fetches the file next to its JavaScript on first use
 * (under Deno from the npm cache, which needs read permission). Cloudflare Workers import the file and
 * provide it.
 *
 * @param name The codec.
 * @param module Its module, or a function that compiles it on first use: `mozjpeg_dec.wasm` or
 * `mozjpeg_enc.wasm` of `@jsquash/jpeg`, `webp_dec.wasm` or `webp_enc_simd.wasm` of `@jsquash/webp`.
 */
export function provideWasmCodec(name: WasmCodecName, module: WasmModule): void {
  providedModules.set(name, module);
}

/** A codec that starts on first use, runs one job at a time, and restarts after a failure. */
export class WasmCodec {
  readonly #name: WasmCodecName;
  readonly #init: Init;
  #started = false;
  #complaints: string[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param name The codec.
   * @param init The `init` function of its @jsquash module.
   */
  constructor(name: WasmCodecName, init: unknown) {
    this.#name = name;
    // The packages' types omit the first parameter, which their documentation and code have.
    this.#init = init as Init;
  }

  /**
   * Runs a job with the codec.
   *
   * @param job The job.
   * @returns The job's result.
   * @throws {FormatError} if the codec failed or reported a problem with its input.
   * @throws {Error} if the codec could not be loaded.
   */
  run<T>(job: () => Promise<T>): Promise<T> {
    // Reported problems belong to the running job, so jobs must not overlap.
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
      `Cannot run the ${this.#name} on this input: ${this.#complaints[0]}`,
    );
  }
}
