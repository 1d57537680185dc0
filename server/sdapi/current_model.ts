import { findModel } from "../job_graphs.ts";
import type { ServedModel } from "../served_models.ts";

/** The model of requests that name none, which clients of the web UI choose for all of them. */
export class CurrentModel {
  #models: readonly ServedModel[];
  #name: string | undefined;

  /** @param models The models that are served, the default one first. */
  constructor(models: readonly ServedModel[]) {
    this.#models = models;
    this.#name = models[0]?.name;
  }

  /** Its name; undefined where no model is served. */
  get name(): string | undefined {
    return this.#name;
  }

  /**
   * Finds a model.
   *
   * @param name Its name.
   * @param param The field that names it.
   * @returns Its name.
   * @throws {ApiError} 404 if it is not served.
   */
  find(name: string, param: string): string {
    return findModel(this.#models, name, param).name;
  }

  /**
   * Chooses a model.
   *
   * @param name Its name.
   * @param param The field that names it.
   * @throws {ApiError} 404 if it is not served.
   */
  choose(name: string, param: string): void {
    this.#name = this.find(name, param);
  }
}
