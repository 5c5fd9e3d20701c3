/** Lists folders and compares them with what is remembered of them. */
import { scanTree, statesIn } from '../scan-tree.ts';
import type { ScanReply, ScanRequest, ScanSettings } from '../scan-types.ts';
import type { Task } from '../task.ts';

export interface ScanTask {
  readonly input: { readonly settings: ScanSettings; readonly folders: readonly ScanRequest[] };
  readonly output: { readonly folders: readonly ScanReply[] };
}

export const task: Task<ScanTask['input'], ScanTask['output']> = ({ settings, folders }) => {
  const replies = folders.map((folder) => scanTree(settings, folder));
  return { output: { folders: replies }, transfer: replies.flatMap((reply) => [...statesIn(reply)]) };
};
