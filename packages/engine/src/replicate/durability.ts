/** Levels of durability (P1): what was asked for, and what a snapshot has. */
import { coveredLevels, type Levels } from '../chain/cover.ts';
import { EdgeError } from '../core/errors.ts';
import type { Covered } from './coverage.ts';

export type DurabilityLevel =
  | { readonly kind: 'local' }
  | { readonly kind: 'peers'; readonly count: number }
  | { readonly kind: 'sites'; readonly count: number }
  | { readonly kind: 's3' };

/** Who has a snapshot with everything it reaches, besides the owner's own store. */
export interface Durability extends Levels {
  /** Copies that count: stores behind one bucket, or under one id, are one. */
  readonly copies: number;
  /** Every peer that has it, also those that do not count for themselves. */
  readonly holders: readonly { readonly agent: string; readonly name: string; readonly site: string }[];
  /** Names of stores that have everything. */
  readonly stores: readonly string[];
  /** Sites of the peers, and each bucket. */
  readonly places: readonly string[];
}

/** `local`, `peers=N`, `sites=N`, `s3`. E_USAGE otherwise. */
export function parseDurabilityLevel(text: string): DurabilityLevel {
  if (text === 'local' || text === 's3') return { kind: text };
  const match = /^(peers|sites)=([1-9]\d{0,2})$/.exec(text);
  if (match === null) {
    throw new EdgeError('E_USAGE', `${JSON.stringify(text)} is no level to wait for`, {
      hint: 'Use local, peers=N, sites=N or s3.',
    });
  }
  return { kind: match[1] as 'peers' | 'sites', count: Number(match[2]) };
}

export function formatDurabilityLevel(level: DurabilityLevel): string {
  return 'count' in level ? `${level.kind}=${level.count}` : level.kind;
}

export function durabilityOf(covered: readonly Covered[]): Durability {
  const levels = coveredLevels(covered.map(({ store }) => store));
  const holders = covered.flatMap(({ target }) =>
    target.type === 'peer' ? [{ agent: target.member.agent, name: target.member.name, site: target.member.site }] : [],
  );
  const stores = covered.flatMap(({ target }) => (target.type === 'bucket' ? [target.store] : []));
  return {
    ...levels,
    copies:
      levels.peers + new Set(covered.flatMap(({ store }) => (store.type === 'bucket' ? [store.location] : []))).size,
    holders,
    stores,
    places: [...new Set([...holders.map((peer) => peer.site), ...stores.map((store) => `store:${store}`)])],
  };
}

export function isReached(level: DurabilityLevel, durability: Levels): boolean {
  switch (level.kind) {
    case 'local':
      return true;
    case 'peers':
      return durability.peers >= level.count;
    case 'sites':
      return durability.sites >= level.count;
    case 's3':
      return durability.s3;
  }
}

export function notEnoughCopies(
  level: DurabilityLevel,
  durability: Durability,
  problems: readonly string[],
): EdgeError {
  const reached = [
    `${durability.peers} peer(s)${durability.holders.length === 0 ? '' : ` (${durability.holders.map((peer) => peer.name).join(', ')})`}`,
    `${durability.sites} site(s)`,
    durability.stores.length === 0 ? 'no bucket' : `bucket ${durability.stores.join(', ')}`,
  ].join(', ');
  const why = problems.length === 0 ? '' : `: ${problems.join('; ')}`;
  return new EdgeError(
    'E_NOT_ENOUGH_COPIES',
    `${formatDurabilityLevel(level)} was not reached in time; reached: ${reached}${why}`,
    {
      hint: 'The snapshot is stored here and stays queued. `edgestore status` shows each target.',
      context: {
        level: formatDurabilityLevel(level),
        peers: durability.peers,
        sites: durability.sites,
        stores: durability.stores,
        problems,
      },
      retryable: true,
    },
  );
}
