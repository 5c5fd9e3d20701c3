/** Brings the index in line with the packs that lie in a bucket: after the index was rebuilt, or on a recovered machine. */
import type { AgentId } from '../../core/ids.ts';
import type { BucketPacks, ListedPack } from './bucket-packs.ts';
import { type ComparedPacks, type ComparePacksDeps, comparePacks } from './compare-packs.ts';
import type { Bucket } from './open-bucket.ts';

/**
 * Adds the packs of one agent (all its incarnations; of all agents when undefined) that the index does not know, and marks those that are gone. Throws when the
 * bucket cannot be asked or is not the one: then nothing is said to be gone.
 */
export async function learnPacks(
  bucket: Pick<Bucket, 'name' | 'label' | 'requireIdentity'> & {
    readonly packs: Pick<BucketPacks, 'list' | 'readContents'>;
  },
  agent: AgentId | undefined,
  deps: ComparePacksDeps,
  signal?: AbortSignal,
): Promise<ComparedPacks> {
  await bucket.requireIdentity(signal);
  const listed: ListedPack[] = [];
  for await (const pack of bucket.packs.list(agent, signal)) listed.push(pack);
  // The listing may be of another place than the identity: a disk can go at any moment.
  await bucket.requireIdentity(signal);
  return await comparePacks({ store: bucket.name, label: bucket.label, packs: bucket.packs, listed }, deps, signal);
}
