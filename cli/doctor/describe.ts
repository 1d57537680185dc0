/**
 * Formats the state of a machine for people to read, and to paste into an issue.
 *
 * @module
 */

import prettyBytes from "pretty-bytes";
import type { FolderFacts } from "../../disk/folder_facts.ts";
import { deviceAdvice } from "../../devices/cuda_libraries.ts";
import { describeDevice } from "../devices.ts";
import type { MachineReport } from "./report.ts";

/** Width of the first column. */
const LABEL = 14;

/** Formats a report, one fact per line. */
export function describeMachine(report: MachineReport): readonly string[] {
  const { versions, system, processor, memory, devices, folders, models, run, environment } = report;
  const features = Object.entries(processor.features);
  const has = features.filter(([, there]) => there).map(([name]) => name);
  const lacks = features.filter(([, there]) => !there).map(([name]) => name);
  const lines = [
    row("versions", Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")),
    row("system", `${system}, ${processor.architecture}`),
    row("processor", `${processor.model}, ${processor.threads} threads`),
    ...(features.length === 0 ? [] : [
      row("", `has ${has.join(", ") || "no instructions that speed up products"}`),
      ...(lacks.length === 0 ? [] : [row("", `lacks ${lacks.join(", ")}`)]),
    ]),
    row("memory", describeMemory(memory)),
    row(
      "a picture",
      run.predictedPeak === undefined
        ? `of ${run.model} cannot be planned`
        : `of ${run.model} needs ${prettyBytes(run.predictedPeak)} of memory`,
    ),
    ...labelled(
      "devices",
      devices.flatMap((facts) => [
        describeDevice(facts),
        ...(facts.float32 === undefined ? deviceAdvice(facts.device).map((line) => `  ${line}`) : []),
      ]),
    ),
    row("pictures", describeFolder(folders.pictures)),
    row("store", describeFolder(folders.store)),
    row("quantized", describeFolder(folders.quantized)),
    row("hub cache", describeFolder(folders.hub)),
    ...labelled(
      "models",
      models.map(({ name, bytes, faults }) =>
        `${name}, ${prettyBytes(bytes)}${faults.length === 0 ? "" : ", cannot be used"}`
      ),
    ),
    ...labelled("environment", Object.entries(environment).map(([name, value]) => `${name}=${value}`)),
  ];
  const { permissions } = report;
  if (permissions === undefined) return lines;
  const granted = Object.entries(permissions).flatMap(([name, state]) =>
    state === "granted" ? [name] : state === "limited" ? [`${name} (limited)`] : []
  );
  return [...lines, row("permissions", granted.join(", ") || "none")];
}

function describeMemory(
  { total, available, groupLimit, addressSpaceLimit }: MachineReport["memory"],
): string {
  return [
    prettyBytes(total),
    `${prettyBytes(available)} available`,
    ...(groupLimit === undefined ? [] : [`limited to ${prettyBytes(groupLimit)} by a control group`]),
    ...(addressSpaceLimit === undefined ? [] : [`address space ${prettyBytes(addressSpaceLimit)}`]),
  ].join(", ");
}

function describeFolder({ path, exists, bytes, freeBytes, fault }: FolderFacts): string {
  return [
    path,
    ...(exists ? bytes === undefined ? [] : [`holds ${prettyBytes(bytes)}`] : ["does not exist yet"]),
    ...(freeBytes === undefined ? [] : [`${prettyBytes(freeBytes)} free`]),
    ...(fault === undefined ? [] : ["cannot be written"]),
  ].join(", ");
}

function row(label: string, text: string): string {
  return label.padEnd(LABEL) + text;
}

/** Formats a list, with the label on its first line only. */
function labelled(label: string, texts: readonly string[]): readonly string[] {
  return (texts.length === 0 ? ["none"] : texts).map((text, index) => row(index === 0 ? label : "", text));
}
