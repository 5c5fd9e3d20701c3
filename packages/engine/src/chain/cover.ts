/**
 * When a store's answer covers a snapshot, and what covered stores come to as levels of durability. Rules of docs/chain.md, section 5: nothing counts
 * that was not asked for after the snapshot was recorded.
 */
import type { AgentId, HexId } from '../core/ids.ts';
import type { Position } from './position.ts';
import type { Statement } from './statement.ts';
import type { ListedIds } from './unsatisfied-list.ts';

/** A statement with the owner's nonce, and when the question was asked. */
export interface Answer {
  readonly statement: Statement;
  /** The seq of the owner's durable position when it made the nonce. */
  readonly askedAtSeq: number;
  /** Lists that came with the statement, by shard, checked against the digests that it names. */
  readonly lists: ReadonlyMap<number, ListedIds>;
}

export interface CoverInput {
  readonly snapshot: { readonly seq: number; readonly shard: number; readonly damaged: boolean };
  readonly answer: Answer;
  readonly owner: {
    /** Its present one. */
    readonly incarnation: number;
    /** Of its newest layout. */
    readonly layoutVersion: number;
    readonly isOnTrail: (position: Position) => boolean;
  };
  /** Whether the store is ranked for the shard under the owner's newest layout. */
  readonly isRanked: boolean;
  /** Whether the snapshot reaches anything of the list. Called only where that decides. */
  readonly reachMeets: (list: ListedIds) => boolean;
}

/** Why an answer does not cover a snapshot, for people and for deciding what to do next. */
export type CoverGap =
  | 'damaged'
  | 'asked-before'
  | 'not-ranked'
  | 'other-layout'
  | 'no-position'
  | 'older-incarnation'
  | 'behind'
  | 'not-on-trail'
  | 'bodies-missing'
  | 'chunks-missing';

/** Rule 5.3. Undefined when the snapshot is covered. */
export function coverGap(input: CoverInput): CoverGap | undefined {
  const { snapshot, answer, owner } = input;
  const { position, layoutVersion, shards } = answer.statement;
  if (snapshot.damaged) return 'damaged';
  if (answer.askedAtSeq < snapshot.seq) return 'asked-before';
  if (!input.isRanked) return 'not-ranked';
  if (layoutVersion !== owner.layoutVersion) return 'other-layout';
  if (position === undefined) return 'no-position';
  if (position.incarnation !== owner.incarnation) return 'older-incarnation';
  if (position.seq < snapshot.seq) return 'behind';
  if (!owner.isOnTrail(position)) return 'not-on-trail';
  const stated = shards.find(({ shard }) => shard === snapshot.shard);
  if (stated === undefined || stated.applied < snapshot.seq) return 'bodies-missing';
  if (stated.whole >= snapshot.seq) return undefined;
  const list = answer.lists.get(snapshot.shard);
  return list === undefined || input.reachMeets(list) ? 'chunks-missing' : undefined;
}

export function isCovered(input: CoverInput): boolean {
  return coverGap(input) === undefined;
}

/** A store that covers a snapshot. */
export type CoveredStore =
  | {
      readonly type: 'peer';
      readonly agent: AgentId;
      readonly storeId: HexId;
      readonly site: string;
      /** Location digests of the buckets that back the snapshot's shard there. */
      readonly backing: readonly HexId[];
    }
  | {
      readonly type: 'bucket';
      readonly storeId: HexId;
      readonly location: HexId;
      /** The owner's own prefix as a cold tier: it counts for `s3` only. */
      readonly isOwnTier?: boolean;
    };

export interface Levels {
  /** Distinct copies at peers. */
  readonly peers: number;
  /** Distinct sites of peers and buckets. */
  readonly sites: number;
  readonly s3: boolean;
}

/**
 * Rule 5.4: stores count once an agent and once a store id. Stores behind one bucket, and that bucket itself, are one copy and one site, because they
 * are lost together.
 */
export function coveredLevels(stores: readonly CoveredStore[]): Levels {
  const counted = stores.filter((store) => store.type === 'peer' || store.isOwnTier !== true);
  const copies = groupsOf(counted, keysOf);
  return {
    peers: copies.filter((group) => group.some(({ type }) => type === 'peer')).length,
    // Groups that share a site count once. This errs to the side of fewer sites.
    sites: groupsOf(counted, siteKeysOf).length,
    s3: stores.some(({ type }) => type === 'bucket'),
  };
}

/** Distinct stores and their sites, whatever their kind: own cold tiers count too. For copies that are verified one by one (P5). */
export function distinctCopies(stores: readonly CoveredStore[]): { readonly copies: number; readonly sites: number } {
  return { copies: groupsOf(stores, keysOf).length, sites: groupsOf(stores, siteKeysOf).length };
}

/** Whatever two stores have in common makes them one copy. */
function keysOf(store: CoveredStore): string[] {
  if (store.type === 'bucket') return [`store ${store.storeId}`, `bucket ${store.location}`];
  return [`store ${store.storeId}`, `agent ${store.agent}`, ...store.backing.map((location) => `bucket ${location}`)];
}

function siteKeysOf(store: CoveredStore): string[] {
  return store.type === 'peer' ? [...keysOf(store), `site ${store.site}`] : keysOf(store);
}

/** Stores that are linked by common keys, directly or through others. */
function groupsOf(stores: readonly CoveredStore[], keys: (store: CoveredStore) => string[]): CoveredStore[][] {
  let groups: { readonly keys: ReadonlySet<string>; readonly stores: readonly CoveredStore[] }[] = [];
  for (const store of stores) {
    const own = keys(store);
    const met = groups.filter((group) => own.some((key) => group.keys.has(key)));
    const joined = {
      keys: new Set([...own, ...met.flatMap((group) => [...group.keys])]),
      stores: [store, ...met.flatMap((group) => group.stores)],
    };
    groups = [...groups.filter((group) => !met.includes(group)), joined];
  }
  return groups.map((group) => [...group.stores]);
}
