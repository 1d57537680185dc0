import { findModel } from "../job_graphs.ts";
import type { ServedModel } from "../served_models.ts";

/** The default model of requests that name none. Any client of the web UI can change it, for all clients. */
export class CurrentModel {
  #models: readonly ServedModel[];
  #name: string | undefined;

  /** @param models The served models, the default one first. */
  constructor(models: readonly ServedModel[]) {
    this.#models = models;
    this.#name = models[0]?.name;
  }

  /** Name of the model; undefined if no model is served. */
  get name(): string | undefined {
    return this.#name;
  }

  /**
   * Finds a model.
   *
   * @param name Its name.
   * @param param The request field that contains the name.
   * @returns Its name.
   * @throws {ApiError} 404 if the server does not offer it.
   */
  find(name: string, param: string): string {
    return findModel(this.#models, name, param).name;
  }

  /**
   * Makes a model the current one.
   *
   * @param name Its name.
   * @param param The request field that contains the name.
   * @throws {ApiError} 404 if the server does not offer it.
   */
  choose(name: string, param: string): void {
    this.#name = this.find(name, param);
  }
}
