/**
 * The signed answer to a nonce. All fields are read without a pause in between, so no change of this store falls among them: it is one transaction. All
 * that they claim is on stable storage before the index says so.
 */

import {
  type Backing,
  encodeStatement,
  STATED_SHARDS_MAX,
  type StatedShard,
  verifyStatement,
} from '../chain/statement.ts';
import {
  encodeUnsatisfiedList,
  LISTED_IDS_MAX,
  listDigest,
  NO_LIST,
  UNSATISFIED_IDS_MAX,
} from '../chain/unsatisfied-list.ts';
import type { Sodium } from '../codec/sodium.ts';
import type { Clock } from '../core/clock.ts';
import { EdgeError, isEdgeError } from '../core/errors.ts';
import type { AgentId, VaultId } from '../core/ids.ts';
import { LAYOUT_VERSION } from '../core/limits.ts';
import type { StatementAnswer, StatementQuestion } from '../core/ports/peer.ts';
import { publicKeyOf } from '../keys/ed25519.ts';
import type { Chains, ShardState } from '../ports/chains.ts';
import type { StoreIdentity } from '../ports/store-identity.ts';

export interface StatementDeps {
  readonly sodium: Sodium;
  readonly vault: VaultId;
  readonly self: { readonly agentId: AgentId; readonly incarnation: number; readonly signSeed: Uint8Array };
  readonly clock: Clock;
  readonly store: StoreIdentity;
  readonly chains: Pick<Chains, 'position' | 'shards' | 'unsatisfiedList' | 'branches'>;
  readonly backing: (owner: AgentId) => readonly Backing[];
}

const NOTHING = new Uint8Array(0);

export function makeStatement(question: StatementQuestion, deps: StatementDeps): StatementAnswer {
  const { owner, nonce, wantsLists } = question;
  noticePutBack(question, deps);
  const { chains, store, self } = deps;
  const stated = chains.shards(owner);
  // Before any list is made, which costs work for each shard.
  if (stated.length > STATED_SHARDS_MAX)
    throw new EdgeError(
      'E_LIMIT',
      `agent ${owner.slice(0, 8)} has ${stated.length} shards: a statement names ${STATED_SHARDS_MAX}`,
    );
  const lists: Uint8Array[] = [];
  let left = LISTED_IDS_MAX;
  const shards = stated.map((state): StatedShard => {
    const list = listOf(owner, state, Math.min(left, UNSATISFIED_IDS_MAX), deps);
    if (list !== undefined) left -= lacksOf(state);
    lists.push(list ?? NOTHING);
    const { held: _, ...stated } = state;
    return { ...stated, listDigest: list === undefined ? NO_LIST : listDigest(list) };
  });
  const statement = encodeStatement(
    deps.sodium,
    {
      vault: deps.vault,
      holder: self.agentId,
      holderIncarnation: self.incarnation,
      storeId: store.storeId,
      epoch: store.epoch(),
      startId: store.startId,
      owner,
      position: chains.position(owner),
      layoutVersion: LAYOUT_VERSION,
      nonce,
      branches: chains.branches(owner).map(({ tip }) => tip.link),
      wallNs: deps.clock.nowNs(),
      shards,
      backing: deps.backing(owner),
    },
    self.signSeed,
  );
  return { statement, lists: wantsLists ? lists : [] };
}

/** Undefined above the most ids that a list may have. */
function listOf(owner: AgentId, state: ShardState, idsMax: number, deps: StatementDeps): Uint8Array | undefined {
  if (lacksOf(state) > idsMax) return undefined;
  const list = deps.chains.unsatisfiedList(owner, state.shard, UNSATISFIED_IDS_MAX);
  return list === undefined ? undefined : encodeUnsatisfiedList(list);
}

function lacksOf({ wanted, lost, unreadable }: ShardState): number {
  return wanted + lost + unreadable;
}

/** No store raised its epoch so often: whoever shows more than this can only want it to run out. */
const EPOCH_SHOWN_MAX = 2n ** 48n;

/**
 * The asker shows the newest statement that it has of this store. If that is ahead of what is here, then this data dir was put back: the epoch rises above
 * both, so that nothing that was believed before counts (docs/chain.md 4.1). Of an epoch below the present one nothing
 * is believed any more, so that the
 * same statement shown again changes nothing.
 */
function noticePutBack({ owner, shown }: StatementQuestion, deps: StatementDeps): void {
  if (shown === undefined) return;
  const { self, store, sodium, chains } = deps;
  let said: ReturnType<typeof verifyStatement>;
  try {
    said = verifyStatement(sodium, shown, publicKeyOf(sodium, self.signSeed));
  } catch (error) {
    // Only a statement that this agent signed says anything about this store.
    if (isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT')) return;
    throw error;
  }
  const isOurs =
    said.vault === deps.vault &&
    said.holder === self.agentId &&
    said.holderIncarnation === self.incarnation &&
    said.storeId === store.storeId &&
    said.owner === owner &&
    said.epoch < EPOCH_SHOWN_MAX;
  if (!isOurs) return;
  const isNewer = said.epoch > store.epoch();
  const isAhead = said.epoch === store.epoch() && (said.position?.seq ?? 0) > (chains.position(owner)?.seq ?? 0);
  if (isNewer || isAhead) store.raiseEpoch(said.epoch);
}
