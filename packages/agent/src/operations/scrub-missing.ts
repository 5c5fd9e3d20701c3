/**
 * The part of `scrub --all` that looks for what was put into a bucket and is gone: segments of the own chain, and the
 * files of the vault.
 */
import { toEdgeError } from '@edgestore/engine';
import type { OperationContext } from './operation.ts';

export interface ScrubbedMissing {
  /** A sentence for each missing thing. */
  readonly missing: readonly string[];
  /** Of these, what was put again. */
  readonly repaired: number;
}

/**
 * Of a store that is a target. With `repair` a pass puts everything again that is missing, and the listing is looked
 * at once more.
 */
export async function scrubMissing(
  store: string,
  { repair, notes }: { readonly repair: boolean; readonly notes: boolean },
  { home, signal, warn }: OperationContext,
): Promise<ScrubbedMissing> {
  const { replicator, running } = home;
  const missing: string[] = [];
  let repaired = 0;
  for (const target of replicator.targets()) {
    if (target.type !== 'bucket' || target.store !== store) continue;
    const label = home.stores.get(store)!.objects.label;
    const found = await replicator.check(target, { notes }, signal);
    missing.push(...found.map((what) => `${label}: ${what}`));
    if (found.length === 0 || !notes) continue;
    if (!repair) {
      running?.noteNewWork();
      continue;
    }
    try {
      await replicator.run(target, signal);
      repaired += found.length - (await replicator.check(target, { notes }, signal)).length;
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = toEdgeError(error, label);
      warn({ code, message: `what is missing at ${label} could not be put again: ${message}` });
    }
  }
  return { missing, repaired };
}
