/** Refuses to go on where the log of this agent is gone. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EdgeError, type Engine, isThere, verifyCard } from '@edgestore/engine';

/**
 * An agent is made with its first record, and so is each new life of it. When even that is gone, and the index with it, nothing else tells that there
 * were snapshots: going on would use the same numbers again, which others refuse as a fork. Only a reader may have none.
 */
export async function requireOwnLog({
  chain,
  dataDir,
  identity,
  sodium,
  vault,
}: Pick<Engine, 'chain' | 'dataDir' | 'identity' | 'sodium' | 'vault'>): Promise<void> {
  const head = chain.position();
  if (head !== undefined && head.incarnation >= identity.incarnation) return;
  const card = dataDir.cardFile(identity.agentId, identity.incarnation);
  if (isThere(card) && verifyCard(sodium, await readFile(card), vault.adminPublicKey).role === 'reader') return;
  const folder = join(dataDir.chainsDir, identity.agentId);
  const what =
    head === undefined ? 'the log of this agent is' : `records of life ${identity.incarnation} of this agent are`;
  throw new EdgeError('E_INTEGRITY', `${what} missing: ${folder}`, {
    hint: 'Nothing was changed. Put the folder back from a copy, mend the log from a peer or the bucket (`edgestore scrub --repair`), or recover into a new data dir (`edgestore recover`).',
    context: { path: folder },
  });
}
