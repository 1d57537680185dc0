/**
 * A process that fills a store in rounds. Each round puts an artifact that all writers share and a unique
 * one, reads both back, and records how they were made. The process prints the artifacts that it could not
 * read back.
 *
 * @module
 */

import { artifactId } from "../../../artifacts/artifact_file.ts";
import { FolderStore } from "../../../artifacts/store/folder_store.ts";
import { record, sampleArtifact } from "./samples.ts";

const [folder = "", writer = "0", rounds = "1"] = Deno.args;
const store = new FolderStore(folder);
const lost: string[] = [];
for (let round = 0; round < Number(rounds); round++) {
  const shared = sampleArtifact(round, 3000);
  const own = sampleArtifact(10_000 * (1 + Number(writer)) + round, 3000);
  for (const artifact of [shared, own]) {
    const id = await store.put(artifact);
    const key = await artifactId(new TextEncoder().encode(`${id} ${round}`));
    await store.keepResult(key, record("toy", id));
    const onDamage = ({ place }: { place: string }): unknown => lost.push(`damaged ${place}`);
    if (!await store.get(id, { onDamage })) lost.push(`artifact ${id} of round ${round}`);
    if (!await store.result(key, { onDamage })) lost.push(`result ${key} of round ${round}`);
    if (!await store.madeBy(id, { onDamage })) lost.push(`maker of ${id} of round ${round}`);
  }
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(lost)));
