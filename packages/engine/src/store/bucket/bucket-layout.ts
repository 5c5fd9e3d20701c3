/** Where things lie below a store's prefix. The page is `docs/formats/bucket-layout.md`; what does not fit it is not ours and never touched. */
import { formatSegmentKey, parseSegmentKey, type SegmentKey, segmentKeyFrom } from '../../chain/chain-segment.ts';
import type { AgentId, PackClass, PackName, VaultId } from '../../core/ids.ts';

/** One incarnation of one agent: packs lie below it, and only that incarnation deletes there. */
export interface Life {
  readonly agent: AgentId;
  readonly incarnation: number;
}

/** A pack by what its key is made of, besides the life that wrote it. */
export interface NamedPack {
  readonly name: PackName;
  readonly packClass: PackClass;
}

export type BucketPack = Life & NamedPack;

/** Entries of one incarnation of an agent's chain, named by place and content. */
export type BucketSegment = SegmentKey;

export type BucketObject =
  | { readonly kind: 'vault'; readonly vault: VaultId }
  | { readonly kind: 'store-id'; readonly vault: VaultId }
  | { readonly kind: 'slot'; readonly vault: VaultId; readonly slotId: string }
  | { readonly kind: 'slot-removal'; readonly vault: VaultId; readonly slotId: string }
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

export function slotRemovalKeyOf(vault: VaultId, slotId: string): string {
  return `${vault}/slots/${slotId}.removed`;
}

export function cardKeyOf(vault: VaultId, { agent, incarnation }: Life): string {
  return `${vault}/cards/${agent}-${incarnation}.card`;
}

export function lifeKeyOf(vault: VaultId, { agent, incarnation }: Life): string {
  return `${vault}/${agent}/${hex(incarnation, 8)}`;
}

/** The class stands before the agent, so that one prefix names all packs of a class: a lifecycle rule can treat them apart, and stays right after a takeover. */
export function packKeyOf(vault: VaultId, { packClass, agent, incarnation, name }: BucketPack): string {
  return `${packPrefixOf(vault, packClass, agent)}${hex(incarnation, 8)}/${name.slice(0, 2)}/${name}.pack`;
}

/** Of all packs of a class; of one agent only when named. */
export function packPrefixOf(vault: VaultId, packClass: PackClass, agent?: AgentId): string {
  return `${vault}/${packClass}/${agent === undefined ? '' : `${agent}/`}`;
}

/** Segments of all incarnations of an agent lie in this folder. */
export function chainFolderOf(vault: VaultId, agent: AgentId): string {
  return `${vault}/${agent}/log/`;
}

export function segmentKeyOf(vault: VaultId, segment: BucketSegment): string {
  return `${vault}/${formatSegmentKey(segment)}`;
}

/** A listing behind this key shows the segments of the incarnation that reach the seq, and those of newer incarnations. */
export function segmentsFromKey(vault: VaultId, agent: AgentId, from: { incarnation: number; seq: number }): string {
  return `${vault}/${segmentKeyFrom(agent, from.incarnation, from.seq)}`;
}

/** What a key is; undefined for one that is not edgestore's. */
export function parseBucketKey(key: string): BucketObject | undefined {
  const found = /^([0-9a-f]{32})\/(.+)$/.exec(key);
  if (found === null) return undefined;
  const [, vault = '', rest = ''] = found;
  if (rest === 'vault.edge') return { kind: 'vault', vault };
  if (rest === 'store.id') return { kind: 'store-id', vault };
  const slot = /^slots\/([0-9a-f]{32})\.(slot|removed)$/.exec(rest);
  if (slot !== null) return { kind: slot[2] === 'slot' ? 'slot' : 'slot-removal', vault, slotId: slot[1] ?? '' };
  const card = /^cards\/([0-9a-f]{32})-([1-9]\d{0,9})\.card$/.exec(rest);
  if (card !== null) return { kind: 'card', vault, agent: card[1] ?? '', incarnation: Number(card[2]) };
  const segment = parseSegmentKey(rest);
  if (segment !== undefined) return { kind: 'segment', vault, ...segment };
  const pack = /^(data|meta)\/([0-9a-f]{32})\/([0-9a-f]{8})\/([0-9a-f]{2})\/([0-9a-f]{64})\.pack$/.exec(rest);
  if (pack === null) return undefined;
  const [, packClass, agent = '', incarnation = '', digits = '', name = ''] = pack;
  if (!name.startsWith(digits)) return undefined;
  const life = { agent, incarnation: Number.parseInt(incarnation, 16) };
  return { kind: 'pack', vault, ...life, name, packClass: packClass === 'meta' ? 'meta' : 'data' };
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
