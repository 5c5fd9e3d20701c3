/**
 * Writes the chosen chain of a recovered agent, and each other end of it beside it. `keepsLoose`: what lies behind a
 * gap goes behind it, as in a chain file that is damaged there, so that its snapshots are listed. Every file is durable
 * when it resolves.
 */
import { type Link, ZERO_LINK } from '../chain/position.ts';
import { concatBytes } from '../core/bytes.ts';
import { EdgeError } from '../core/errors.ts';
import { chainFolder } from '../store/chains/chain-paths.ts';
import type { EntrySpool } from '../store/chains/entry-spool.ts';
import { openChainFileWriter } from '../store/chains/write-chain-file.ts';
import type { GatheredEntry } from './gather-chain.ts';
import type { RecoverPlan } from './recover-types.ts';

export async function writeRecoveredChains(
  chainsDir: string,
  plan: Pick<RecoverPlan, 'agent' | 'trail' | 'sideChains' | 'loose' | 'spool'>,
  options: { readonly keepsLoose: boolean },
): Promise<void> {
  const { agent, trail, sideChains, loose, spool } = plan;
  const entries = options.keepsLoose ? [...trail, ...behind(trail, loose)] : trail;
  await writeEntries(chainFolder(chainsDir, agent.agentId), entries, spool, ZERO_LINK);
  for (const { tip, entries } of sideChains)
    await writeEntries(chainFolder(chainsDir, agent.agentId, tip.link), entries, spool);
}

/** One after the other: of two entries with one number the first stays. */
function behind(trail: readonly GatheredEntry[], loose: readonly GatheredEntry[]): GatheredEntry[] {
  let last = trail.at(-1)?.seq ?? 0;
  return loose.filter(({ seq }) => {
    if (seq <= last) return false;
    last = seq;
    return true;
  });
}

/** In place of entries that nobody has: no item begins so. */
const GAP = new Uint8Array(16).fill(0xff);

async function writeEntries(
  folder: string,
  entries: readonly GatheredEntry[],
  spool: EntrySpool | undefined,
  base?: Link,
): Promise<void> {
  const writer = await openChainFileWriter(folder);
  let before = base;
  for (const entry of entries) {
    if (spool === undefined || entry.item === undefined)
      throw new EdgeError('E_FAILED', 'a recovery without a spool cannot be written');
    const isBehindGap = before !== undefined && before !== entry.previous;
    const item = await spool.read(entry.item);
    await writer.add(entry, isBehindGap ? concatBytes([GAP, item]) : item);
    before = entry.link;
  }
  await writer.finish();
}
