/** Levels of durability (P1): what was asked for, and what a record has. */
import { EdgeError } from '../core/errors.ts';
import type { KeyValue } from '../core/ports/index.ts';
import type { Member } from '../core/ports/peer.ts';
import type { Head } from '../log/record-body.ts';
import { hasAcknowledged } from './acknowledged.ts';

export type DurabilityLevel =
  | { readonly kind: 'local' }
  | { readonly kind: 'peers'; readonly count: number }
  | { readonly kind: 'sites'; readonly count: number }
  | { readonly kind: 's3' };

/** Who has a record with everything it reaches, besides the owner's own store. */
export interface Durability {
  readonly peers: readonly { readonly agent: string; readonly name: string; readonly site: string }[];
  /** Names of stores that hold everything. */
  readonly stores: readonly string[];
  /** Distinct sites of the peers; each bucket is one. */
  readonly sites: readonly string[];
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

export function durabilityOf(
  place: Pick<Head, 'incarnation' | 'seq'>,
  known: { readonly members: readonly Member[]; readonly stores: readonly string[]; readonly kv: KeyValue },
): Durability {
  const peers = known.members
    .filter((member) => hasAcknowledged(known.kv, member.agent, place))
    .map(({ agent, name, site }) => ({ agent, name, site }));
  const stores = known.stores.filter((store) => hasAcknowledged(known.kv, `store:${store}`, place));
  return {
    peers,
    stores,
    sites: [...new Set([...peers.map((peer) => peer.site), ...stores.map((store) => `store:${store}`)])],
  };
}

export function isReached(level: DurabilityLevel, durability: Durability): boolean {
  switch (level.kind) {
    case 'local':
      return true;
    case 'peers':
      return durability.peers.length >= level.count;
    case 'sites':
      return durability.sites.length >= level.count;
    case 's3':
      return durability.stores.length > 0;
  }
}

export function notEnoughCopies(
  level: DurabilityLevel,
  durability: Durability,
  problems: readonly string[],
): EdgeError {
  const reached = [
    `${durability.peers.length} peer(s)${durability.peers.length === 0 ? '' : ` (${durability.peers.map((peer) => peer.name).join(', ')})`}`,
    `${durability.sites.length} site(s)`,
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
        peers: durability.peers.length,
        sites: durability.sites.length,
        stores: durability.stores,
        problems,
      },
      retryable: true,
    },
  );
}
