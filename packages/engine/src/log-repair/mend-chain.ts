/** Mends the files of one chain from whoever has what is damaged in them: the own chain, or another owner's that is kept here. */
import { join } from 'node:path';
import type { Sodium } from '../codec/sodium.ts';
import type { AgentId } from '../core/ids.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import type { ChainEntry } from '../ports/chains.ts';
import type { ChainStore } from '../store/chains/chain-store.ts';
import { openEntrySpool } from '../store/chains/entry-spool.ts';
import { mendFiles } from '../store/chains/mend-files.ts';
import { type DamagedRange, verifyFiles } from '../store/chains/verify-files.ts';
import type { DataDir } from '../store/data-dir.ts';
import type { ChainSource } from './chain-repair-types.ts';
import { type GatheredEntries, gatherEntries } from './gather-entries.ts';

export interface MendChainDeps {
  readonly dataDir: DataDir;
  readonly sodium: Sodium;
  readonly chains: ChainStore;
  readonly sources: readonly ChainSource[];
  readonly signPublicKey: (agent: AgentId, incarnation: number) => Uint8Array | undefined;
  readonly warn: ReportWarning;
  readonly signal?: AbortSignal | undefined;
}

export interface MendedChain {
  /** Ranges that were damaged. */
  readonly found: readonly DamagedRange[];
  /** Those that still are. */
  readonly left: readonly DamagedRange[];
  readonly from: readonly string[];
  readonly unasked: readonly string[];
}

export async function mendChain(agent: AgentId, deps: MendChainDeps): Promise<MendedChain> {
  const chain = deps.chains.followed(agent);
  const found = await verifyFiles(chain, deps.signal);
  if (found.length === 0) return { found, left: found, from: [], unasked: [] };
  return await withEntries(agent, found, deps, async (gathered) => {
    const left = await mendFiles(chain, found, (seq) => gathered.entryOf(seq));
    return { found, left, from: gathered.from, unasked: gathered.unasked };
  });
}

/** Entries of the ranges, as long as the work lasts. */
export async function withEntries<T>(
  agent: AgentId,
  ranges: readonly { readonly firstSeq: number; readonly lastSeq: number }[],
  deps: MendChainDeps,
  work: (gathered: GatheredEntries) => Promise<T>,
): Promise<T> {
  const spool = await openEntrySpool(join(deps.dataDir.path, 'repair.entries'));
  try {
    const isWanted = ({ head }: ChainEntry): boolean => {
      const known = deps.chains.positionAt(agent, head.header.seq);
      return known === undefined || known.link === head.link;
    };
    const { sodium, sources, warn, signal } = deps;
    const signPublicKey = (incarnation: number) => deps.signPublicKey(agent, incarnation);
    return await work(
      await gatherEntries(agent, ranges, { sodium, sources, spool, signPublicKey, isWanted, warn, signal }),
    );
  } finally {
    await spool.discard();
  }
}
