/**
 * Tries out a store that was added (docs/chain.md 6.3): what was put has to be listed, and what was deleted must not
 * be. A store that does not list what was put would hide a fork, so it counts for no level.
 */

import type { RandomBytes } from '../../core/clock.ts';
import { EdgeError, isEdgeError } from '../../core/errors.ts';
import { toHex, type VaultId } from '../../core/ids.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import type { ReportWarning } from '../../core/ports/progress.ts';

export interface ProbeDeps {
  readonly random: RandomBytes;
  readonly warn: ReportWarning;
}

/** A key that no reader takes for an object of the vault; one that a kill leaves harms nothing. */
function probeKeyOf(vault: VaultId, random: RandomBytes): string {
  return `${vault}/probe/${toHex(random(16))}`;
}

/** E_STORE for a store that does not list what was put, or lists what was deleted. One that may not delete is told. */
export async function probeStore(
  store: ObjectStore,
  vault: VaultId,
  { random, warn }: ProbeDeps,
  signal?: AbortSignal,
): Promise<void> {
  const key = probeKeyOf(vault, random);
  const options = signal === undefined ? {} : { signal };
  await store.put(key, Buffer.from('edgestore probe\n'), options);
  if (!(await isListed(store, key, options)))
    throw notListed(store, 'does not list what was put there a moment before');
  try {
    await store.delete(key, options);
  } catch (error) {
    if (!isEdgeError(error, 'E_DENIED')) throw error;
    warn({ code: 'W_STORE_KEEPS', message: `${store.label} lets nothing be deleted: ${error.message}` });
    return;
  }
  if (await isListed(store, key, options)) throw notListed(store, 'still lists what was deleted there a moment before');
}

async function isListed(store: ObjectStore, key: string, options: { readonly signal?: AbortSignal }): Promise<boolean> {
  for await (const found of store.list(key, options)) if (found.key === key) return true;
  return false;
}

function notListed(store: ObjectStore, what: string): EdgeError {
  return new EdgeError('E_STORE', `${store.label} ${what}: it counts for no level`, {
    hint: 'Use a store whose listings show every earlier put and delete at once.',
    context: { store: store.label },
    retryable: true,
  });
}
