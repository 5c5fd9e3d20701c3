/** Opens sealed chunks that came from elsewhere and says which are what their ids name. */
import { type ClassedChunk, opensToItsId } from '../../codec/opens-to-its-id.ts';
import type { Task } from '../task.ts';

export interface IdentifyTask {
  readonly input: { readonly chunks: readonly ClassedChunk[] };
  /** 1 where the chunk is what its id names; positions match. */
  readonly output: Uint8Array;
}

export const task: Task<IdentifyTask['input'], IdentifyTask['output']> = async ({ chunks }, context) => {
  const opener = await context.opener();
  return { output: Uint8Array.from(chunks, (chunk) => (opensToItsId(opener, chunk) ? 1 : 0)) };
};
