/**
 * Builds the image of the Containerfile without an image registry: from a base system made of Debian's
 * packages and the Deno that runs this.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Need } from "../needing.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const execute = promisify(execFile);

/** The output of a program. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Requires what {@linkcode ImageBuilder} uses. */
export const BUILDER: Need = {
  what: "root, buildah, debootstrap and ip",
  isThere: Deno.build.os === "linux" && Deno.uid() === 0 &&
    await execute("sh", ["-c", "command -v buildah && command -v debootstrap && command -v ip"])
      .then(() => true, () => false),
};

/** The part of an image's description that tests read. */
export interface ImageConfig {
  readonly User: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Healthcheck: { readonly Test: readonly string[] };
  readonly Volumes: Readonly<Record<string, object>>;
  readonly ExposedPorts: Readonly<Record<string, object>>;
}

/** Buildah, with its images in one folder. */
export class ImageBuilder {
  readonly #folder: string;

  /** @param folder The folder of the images, which the caller removes. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs a command of Buildah. */
  async run(...args: string[]): Promise<Output> {
    return await execute("buildah", this.line(...args).slice(1), { cwd: ROOT, maxBuffer: 2 ** 26 });
  }

  /** The program and the arguments of a command of Buildah. */
  line(...args: string[]): [program: string, ...args: string[]] {
    const storage = ["--root", join(this.#folder, "images"), "--runroot", join(this.#folder, "running")];
    return ["buildah", "--storage-driver", "vfs", ...storage, ...args];
  }

  /**
   * Makes the images that the Containerfile is based on, under the names that it uses.
   *
   * @param debian The version of Debian.
   * @param deno The version in the name of Deno's image.
   */
  async makeBases(debian: string, deno: string): Promise<void> {
    const { stdout } = await execute("apt-get", ["indextargets", "--format", "$(RELEASE) $(SITE)"]);
    const [, mirror] = new RegExp(`^${debian} (\\S+)$`, "m").exec(stdout)!;
    const base = join(this.#folder, "base");
    await execute("debootstrap", ["--variant=minbase", debian, base, mirror!], { maxBuffer: 2 ** 26 });
    // Packages come from where this machine takes them.
    await rm(join(base, "etc/apt"), { recursive: true });
    await cp("/etc/apt", join(base, "etc/apt"), { recursive: true });
    await this.#makeImage(`docker.io/library/debian:${debian}-slim`, base);
    await rm(base, { recursive: true });

    const folder = join(this.#folder, "deno");
    await mkdir(folder);
    await cp(process.execPath, join(folder, "deno"));
    await this.#makeImage(`docker.io/denoland/deno:bin-${deno}`, folder);
    await rm(folder, { recursive: true });
  }

  /**
   * Builds a target of the Containerfile. npm's registry and the certificates are those of this machine.
   *
   * @param tag The name of the image.
   * @param target The target.
   */
  async build(tag: string, target: string): Promise<void> {
    const settings = join(homedir(), ".npmrc");
    const npm = await readFile(settings).then(() => ["--volume", `${settings}:/store/.npmrc:ro`], () => []);
    const certificates = process.env["NODE_EXTRA_CA_CERTS"];
    const trust = certificates === undefined
      ? []
      : ["--volume", `${certificates}:/etc/build-ca.pem:ro`, "--env", "DENO_CERT=/etc/build-ca.pem"];
    const chroot = ["--isolation", "chroot", "--network", "host"];
    // Buildah passes the variables of --env to steps only if each step is a layer.
    const layers = ["--format", "docker", "--layers", "--pull-never"];
    const what = ["--target", target, "--tag", tag, "--file", "container/Containerfile"];
    await this.run("build", ...layers, ...chroot, ...npm, ...trust, ...what, ".");
  }

  /** Reads the description of an image. */
  async configOf(tag: string): Promise<ImageConfig> {
    const { stdout } = await this.run("inspect", "--type", "image", tag);
    return JSON.parse(stdout).Docker.config;
  }

  async #makeImage(tag: string, folder: string): Promise<void> {
    const file = join(this.#folder, "Containerfile");
    await writeFile(file, "FROM scratch\nCOPY . /\n");
    await this.run("build", "--format", "docker", "--tag", tag, "--file", file, folder);
  }
}
