/**
 * Brings chains of other owners back whose files ended before what was acknowledged: from the owner, another holder or
 * a bucket.
 */
import { toEdgeError } from '../core/errors.ts';
import type { AgentId } from '../core/ids.ts';
import type { ChainEntry, ShortChain } from '../ports/chains.ts';
import { shortMessage } from '../store/chains/short-chains.ts';
import type { DamagedRange } from '../store/chains/verify-files.ts';
import type { GatheredEntries } from './gather-entries.ts';
import { type MendChainDeps, withEntries } from './mend-chain.ts';
import type { CheckedChain } from './mend-other-chains.ts';

const ENTRIES_AT_ONCE = 64;
const BYTES_AT_ONCE = 32 * 1024 * 1024;

/** What is missing of each, and nothing is changed. */
export function missingEnds(chains: MendChainDeps['chains']): CheckedChain[] {
  return chains.short().map((short) => {
    const found = [rangeOf(short)];
    return { agent: short.agent, found, left: found, from: [] };
  });
}

/** Taken as from the owner: in order, by its signature, durable. What no source has stays missing. */
export async function bringBackChains(deps: MendChainDeps): Promise<CheckedChain[]> {
  const checked: CheckedChain[] = [];
  for (const short of deps.chains.short()) {
    const { agent } = short;
    const found = [rangeOf(short)];
    const from = await withEntries(agent, found, deps, async (gathered) => {
      await takeAll(short, gathered, deps);
      return gathered.from;
    });
    const left = deps.chains.short().find((one) => one.agent === agent);
    checked.push({ agent, found, left: left === undefined ? [] : [rangeOf(left)], from });
  }
  return checked;
}

function rangeOf(short: ShortChain): DamagedRange {
  // A takeover may have cut a branch off behind its base: then the place is a newer incarnation with a lower seq.
  const firstSeq = Math.min((short.have?.seq ?? 0) + 1, short.until.seq);
  return { firstSeq, lastSeq: short.until.seq, message: shortMessage(short) };
}

async function takeAll(
  { agent, have, until }: ShortChain,
  gathered: GatheredEntries,
  { chains, signPublicKey, warn, signal }: MendChainDeps,
): Promise<void> {
  const owner = {
    agent,
    incarnation: until.incarnation,
    signPublicKey: (incarnation: number) => signPublicKey(agent as AgentId, incarnation),
  };
  let group: ChainEntry[] = [];
  let bytes = 0;
  const take = async (): Promise<void> => {
    if (group.length > 0) await chains.take(owner, group);
    group = [];
    bytes = 0;
  };
  try {
    for (let seq = (have?.seq ?? 0) + 1; seq <= until.seq; seq++) {
      signal?.throwIfAborted();
      const entry = await gathered.entryOf(seq);
      if (entry === undefined) break;
      group.push(entry);
      bytes += entry.body?.length ?? 0;
      if (group.length >= ENTRIES_AT_ONCE || bytes >= BYTES_AT_ONCE) await take();
    }
    await take();
  } catch (error) {
    signal?.throwIfAborted();
    const { code, message } = toEdgeError(error);
    if (code === 'E_NO_SPACE' || code === 'E_IO') throw error;
    warn({ code, message: `the chain of agent ${agent.slice(0, 8)} could not be brought back: ${message}` });
  }
}
