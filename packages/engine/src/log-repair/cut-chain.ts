/** Makes the next incarnation of this agent behind the last entry that is whole, in a folder of its own that is then put in place. */
import { join } from 'node:path';
import { encodeChainItem } from '../chain/chain-segment.ts';
import { isHoldKind } from '../chain/entry-head.ts';
import { comparePlaces, type Position } from '../chain/position.ts';
import type { CheckedSnapshot } from '../chain/record-checkpoint.ts';
import { takeoverEntries } from '../chain/takeover-entries.ts';
import type { Sodium } from '../codec/sodium.ts';
import type { RandomBytes } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { LogIndex, SnapshotRow, SnapshotSummary } from '../core/ports/index.ts';
import { type Card, encodeCard } from '../keys/card.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import { type AgentIdentity, encodeIdentity } from '../keys/identity.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { Chains } from '../ports/chains.ts';
import { openChainFileWriter } from '../store/chains/write-chain-file.ts';
import type { DataDir } from '../store/data-dir.ts';
import type { ChainRepair, RepairedSnapshot } from './chain-repair-types.ts';
import { discardUndecided, placeCutChain } from './place-cut-chain.ts';

export interface CutChainDeps {
  readonly dataDir: DataDir;
  readonly sodium: Sodium;
  readonly keys: VaultKeys;
  readonly identity: AgentIdentity;
  /** This agent's newest card. */
  readonly card: Card;
  /** Undefined where this agent does not have it. */
  readonly adminSeed: Uint8Array | undefined;
  readonly random: RandomBytes;
  readonly chains: Pick<Chains, 'entries' | 'position'>;
  readonly index: { readonly log: Pick<LogIndex, 'snapshot' | 'settingsOf'> };
  /** For the name of what is set aside. */
  readonly time: string;
}

export interface CutChainInput {
  /** The last entry that stays. */
  readonly base: Position | undefined;
  readonly from: readonly string[];
  /** Live snapshots that the index knew before the repair. */
  readonly known: readonly SnapshotSummary[];
  /** Snapshots that the index does not know, and whose bodies nobody has. */
  readonly unread: readonly RepairedSnapshot[];
}

/** E_DENIED without the admin key: nothing was changed. */
export async function cutChain({ base, from, known, unread }: CutChainInput, deps: CutChainDeps): Promise<ChainRepair> {
  const { dataDir, sodium, keys, random, card, adminSeed } = deps;
  const agent = deps.identity.agentId;
  if (adminSeed === undefined) {
    throw new EdgeError(
      'E_DENIED',
      'no peer or bucket has the whole chain, and this agent cannot begin a new incarnation',
      {
        hint: 'Nothing was changed. That takes the admin key: recover into a new data dir with the recovery sheet (`edgestore recover`), or make a peer reachable that has the chain.',
      },
    );
  }
  const newest = Math.max(deps.identity.incarnation, card.incarnation, deps.chains.position(agent)?.incarnation ?? 0);
  const incarnation = newest + 1;
  const identity: AgentIdentity = { ...deps.identity, incarnation, signSeed: random(32) };
  const signPublicKey = publicKeyOf(sodium, identity.signSeed);
  const cardBytes = encodeCard(
    sodium,
    { ...card, incarnation, signPublicKey, base, number: card.number + 1 },
    adminSeed,
  );

  await discardUndecided(dataDir);
  const writer = await openChainFileWriter(join(dataDir.repairDir, agent));
  const brokenShards = new Set<number>();
  const untilSeq = base?.seq ?? 0;
  if (untilSeq > 0) {
    for await (const entry of deps.chains.entries(agent, { untilSeq })) {
      const { header } = entry.head;
      if (isHoldKind(header.kind) && entry.body === undefined) brokenShards.add(header.shard);
      await writer.add(header, encodeChainItem(entry));
    }
  }
  const rows = known.flatMap(({ id }) => deps.index.log.snapshot(id) ?? []).filter(({ branch }) => !branch);
  const until = { incarnation: base?.incarnation ?? 0, seq: untilSeq };
  const snapshots = rows.map((row) => checked(row, until)).sort(comparePlaces);
  const state = {
    snapshots,
    pins: rows.flatMap(({ id, pinned }) => (pinned === undefined ? [] : [{ snapshot: id, reason: pinned }])),
    settings: deps.index.log.settingsOf(agent),
  };
  const broken = [...brokenShards];
  const made = takeoverEntries(sodium, { keys, identity, card: cardBytes, base, state, brokenShards: broken, random });
  for (const entry of made) await writer.add(entry.head.header, encodeChainItem(entry));
  await writer.finish();
  failpoint('log-repair.chain-staged');
  const remaining = new Set(snapshots.map(({ id }) => id));
  const isBehind = (row: SnapshotRow): boolean => comparePlaces(row, until) > 0;
  const repair: ChainRepair = {
    how: 'cut',
    entries: untilSeq + made.length,
    from,
    aside: join(dataDir.chainsDir, `${agent}.damaged-${deps.time.replaceAll(/[^0-9A-Za-z]/g, '-')}`),
    kept: rows.filter((row) => !isBehind(row)).map(describedRow),
    behind: rows.filter(isBehind).map(describedRow),
    lost: [
      ...known
        .filter(({ id, branch }) => !branch && !remaining.has(id))
        .map(({ id, root, timeNs }) => ({ id, root, timeNs })),
      ...unread,
    ],
  };
  return await placeCutChain(dataDir, agent, repair, {
    incarnation,
    card: cardBytes,
    identity: encodeIdentity(identity),
  });
}

/** Nothing proves what holds a snapshot behind the damage has. */
function checked(row: SnapshotRow, until: Omit<Position, 'link'>): CheckedSnapshot {
  const { id, incarnation, seq, shard, damaged, body } = row;
  return { id, incarnation, seq, shard, damaged: damaged || comparePlaces(row, until) > 0, body };
}

function describedRow({ id, body }: SnapshotRow): RepairedSnapshot {
  return { id, root: body.root, timeNs: body.timeNs };
}
