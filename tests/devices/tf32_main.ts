/**
 * Prints the relative error of an attention layer in TF32, or why this machine has no TF32. cuBLAS reads its
 * switch once per process, so this needs one of its own.
 */

import { stdout } from "node:process";
import { localDevice } from "../../devices/local_devices.ts";

stdout.write(JSON.stringify(await localDevice("cuda-tf32")));
