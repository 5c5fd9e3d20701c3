/** Where things lie below a store's prefix. The page is `docs/formats/bucket-layout.md`; what does not fit it is not ours and never touched. */
import type { AgentId, PackName, VaultId } from '../../core/ids.ts';
import { SEQ_END } from '../../core/position.ts';
import type { SegmentName } from '../../ports/bucket-index.ts';

/** One incarnation of one agent: packs lie below it, and only that incarnation deletes there. */
export interface Life {
  readonly agent: AgentId;
  readonly incarnation: number;
}

export interface BucketPack extends Life {
  readonly name: PackName;
}

/** Entries of one incarnation of an agent's chain, named by place and content. */
export interface BucketSegment extends SegmentName {
  readonly agent: AgentId;
}

export type BucketObject =
  | { readonly kind: 'vault'; readonly vault: VaultId }
  | { readonly kind: 'store-id'; readonly vault: VaultId }
  | { readonly kind: 'slot'; readonly vault: VaultId; readonly slotId: string }
  | ({ readonly kind: 'card'; readonly vault: VaultId } & Life)
  | ({ readonly kind: 'pack'; readonly vault: VaultId } & BucketPack)
  | ({ readonly kind: 'segment'; readonly vault: VaultId } & BucketSegment);

export function vaultKeyOf(vault: VaultId): string {
  return `${vault}/vault.edge`;
}

export function storeIdKeyOf(vault: VaultId): string {
  return `${vault}/store.id`;
}

export function slotKeyOf(vault: VaultId, slotId: string): string {
  return `${vault}/slots/${slotId}.slot`;
}

export function cardKeyOf(vault: VaultId, { agent, incarnation }: Life): string {
  return `${vault}/cards/${agent}-${incarnation}.card`;
}

export function lifeKeyOf(vault: VaultId, { agent, incarnation }: Life): string {
  return `${vault}/${agent}/${hex(incarnation, 8)}`;
}

export function packKeyOf(vault: VaultId, pack: BucketPack): string {
  return `${lifeKeyOf(vault, pack)}/packs/${pack.name.slice(0, 2)}/${pack.name}.pack`;
}

/** Segments of all incarnations of an agent lie in this folder. */
export function chainFolderOf(vault: VaultId, agent: AgentId): string {
  return `${vault}/${agent}/log/`;
}

/** The last seq stands before the first: a listing from a seq on shows every segment that reaches it. */
export function segmentKeyOf(vault: VaultId, { agent, incarnation, first, last, digest }: BucketSegment): string {
  return `${chainFolderOf(vault, agent)}${hex(incarnation, 8)}-${hex(last, 16)}-${hex(first, 16)}-${digest}.seg`;
}

/** A listing behind this key shows the segments of the incarnation that reach the seq, and those of newer incarnations. */
export function segmentsFromKey(vault: VaultId, agent: AgentId, from: { incarnation: number; seq: number }): string {
  return `${chainFolderOf(vault, agent)}${hex(from.incarnation, 8)}-${hex(from.seq, 16)}`;
}

/** What a key is; undefined for one that is not edgestore's. */
export function parseBucketKey(key: string): BucketObject | undefined {
  const found = /^([0-9a-f]{32})\/(.+)$/.exec(key);
  if (found === null) return undefined;
  const [, vault = '', rest = ''] = found;
  if (rest === 'vault.edge') return { kind: 'vault', vault };
  if (rest === 'store.id') return { kind: 'store-id', vault };
  const slot = /^slots\/([0-9a-f]{32})\.slot$/.exec(rest);
  if (slot !== null) return { kind: 'slot', vault, slotId: slot[1] ?? '' };
  const card = /^cards\/([0-9a-f]{32})-([1-9]\d{0,9})\.card$/.exec(rest);
  if (card !== null) return { kind: 'card', vault, agent: card[1] ?? '', incarnation: Number(card[2]) };
  const segment = parseSegment(rest);
  if (segment !== undefined) return { kind: 'segment', vault, ...segment };
  const life = /^([0-9a-f]{32})\/([0-9a-f]{8})\/(.+)$/.exec(rest);
  if (life === null) return undefined;
  const [, agent = '', incarnation = '', below = ''] = life;
  const owner = { vault, agent, incarnation: Number.parseInt(incarnation, 16) };
  const pack = /^packs\/([0-9a-f]{2})\/([0-9a-f]{64})\.pack$/.exec(below);
  return pack !== null && pack[2]?.startsWith(pack[1] ?? '') ? { kind: 'pack', ...owner, name: pack[2] } : undefined;
}

function parseSegment(rest: string): BucketSegment | undefined {
  const found = /^([0-9a-f]{32})\/log\/([0-9a-f]{8})-([0-9a-f]{16})-([0-9a-f]{16})-([0-9a-f]{16})\.seg$/.exec(rest);
  if (found === null) return undefined;
  const [, agent = '', incarnation = '', last = '', first = '', digest = ''] = found;
  const segment = {
    agent,
    incarnation: Number.parseInt(incarnation, 16),
    first: Number.parseInt(first, 16),
    last: Number.parseInt(last, 16),
    digest,
  };
  const isPlace = segment.incarnation >= 1 && segment.first >= 1 && segment.first <= segment.last && segment.last < SEQ_END;
  return isPlace ? segment : undefined;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
