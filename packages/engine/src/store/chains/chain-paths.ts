/** Where the files of a chain lie: `chains/<agent>/<incarnation>-<first seq>.chain` with late bodies beside it (docs/formats/data-dir.md). */
import { join } from 'node:path';
import type { Link } from '../../chain/position.ts';
import type { AgentId } from '../../core/ids.ts';

/** A chain file by its first entry. */
export interface FileName {
  readonly fileIncarnation: number;
  readonly file: number;
}

/** Folder of an agent's chain, or of one of its branches. */
export function chainFolder(chainsDir: string, agent: AgentId, branch?: Link): string {
  const folder = join(chainsDir, agent);
  return branch === undefined ? folder : join(folder, 'branches', branch.slice(0, 16));
}

export function chainFile(folder: string, { fileIncarnation, file }: FileName): string {
  return join(folder, `${nameOf(fileIncarnation, file)}.chain`);
}

/** Bodies of the chain file's entries that came after their headers. */
export function bodiesFile(folder: string, { fileIncarnation, file }: FileName): string {
  return join(folder, `${nameOf(fileIncarnation, file)}.bodies`);
}

/** Chain files among the names, in the order of their entries. */
export function chainFilesIn(names: readonly string[]): FileName[] {
  const files: FileName[] = [];
  for (const name of names) {
    const match = /^([0-9a-f]{8})-([0-9a-f]{16})\.chain$/.exec(name);
    if (match !== null)
      files.push({ fileIncarnation: Number.parseInt(match[1]!, 16), file: Number.parseInt(match[2]!, 16) });
  }
  return files.sort((a, b) => a.file - b.file || a.fileIncarnation - b.fileIncarnation);
}

function nameOf(incarnation: number, seq: number): string {
  return `${incarnation.toString(16).padStart(8, '0')}-${seq.toString(16).padStart(16, '0')}`;
}
