/** Writes the chosen chain of a recovered agent, and each other end of it beside it. Every file is durable when it resolves. */
import { EdgeError } from '../core/errors.ts';
import { chainFolder } from '../store/chains/chain-paths.ts';
import type { EntrySpool } from '../store/chains/entry-spool.ts';
import { openChainFileWriter } from '../store/chains/write-chain-file.ts';
import type { GatheredEntry } from './gather-chain.ts';
import type { RecoverPlan } from './recover-types.ts';

export async function writeRecoveredChains(
  chainsDir: string,
  plan: Pick<RecoverPlan, 'agent' | 'trail' | 'sideChains' | 'spool'>,
): Promise<void> {
  const { agent, trail, sideChains, spool } = plan;
  await writeEntries(chainFolder(chainsDir, agent.agentId), trail, spool);
  for (const { tip, entries } of sideChains)
    await writeEntries(chainFolder(chainsDir, agent.agentId, tip.link), entries, spool);
}

async function writeEntries(
  folder: string,
  entries: readonly GatheredEntry[],
  spool: EntrySpool | undefined,
): Promise<void> {
  const writer = await openChainFileWriter(folder);
  for (const entry of entries) {
    if (spool === undefined || entry.item === undefined)
      throw new EdgeError('E_FAILED', 'a recovery without a spool cannot be written');
    await writer.add(entry, await spool.read(entry.item));
  }
  await writer.finish();
}
