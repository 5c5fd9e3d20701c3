/** Where things lie below a store's prefix. The page is `docs/formats/bucket-layout.md`; what does not fit it is not ours and never touched. */
import type { AgentId, PackName, VaultId } from '../../core/ids.ts';

/** One life of one agent: packs and segments lie below it, and only that life deletes there. */
export interface Life {
  readonly agent: AgentId;
  readonly incarnation: number;
}

export interface BucketPack extends Life {
  readonly name: PackName;
}

export interface BucketSegment extends Life {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export type BucketObject =
  | { readonly kind: 'vault'; readonly vault: VaultId }
  | { readonly kind: 'slot'; readonly vault: VaultId; readonly slotId: string }
  | { readonly kind: 'slot-removal'; readonly vault: VaultId; readonly slotId: string }
  | ({ readonly kind: 'card'; readonly vault: VaultId } & Life)
  | ({ readonly kind: 'pack'; readonly vault: VaultId } & BucketPack)
  | ({ readonly kind: 'segment'; readonly vault: VaultId } & BucketSegment);

export function vaultKeyOf(vault: VaultId): string {
  return `${vault}/vault.edge`;
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

export function packKeyOf(vault: VaultId, pack: BucketPack): string {
  return `${lifeKeyOf(vault, pack)}/packs/${pack.name.slice(0, 2)}/${pack.name}.pack`;
}

export function segmentKeyOf(vault: VaultId, segment: BucketSegment): string {
  return `${lifeKeyOf(vault, segment)}/log/${hex(segment.firstSeq, 16)}-${hex(segment.lastSeq, 16)}.seg`;
}

/** What a key is; undefined for one that is not edgestore's. */
export function parseBucketKey(key: string): BucketObject | undefined {
  const found = /^([0-9a-f]{32})\/(.+)$/.exec(key);
  if (found === null) return undefined;
  const [, vault = '', rest = ''] = found;
  if (rest === 'vault.edge') return { kind: 'vault', vault };
  const slot = /^slots\/([0-9a-f]{32})\.(slot|removed)$/.exec(rest);
  if (slot !== null) return { kind: slot[2] === 'slot' ? 'slot' : 'slot-removal', vault, slotId: slot[1] ?? '' };
  const card = /^cards\/([0-9a-f]{32})-([1-9]\d{0,9})\.card$/.exec(rest);
  if (card !== null) return { kind: 'card', vault, agent: card[1] ?? '', incarnation: Number(card[2]) };
  const life = /^([0-9a-f]{32})\/([0-9a-f]{8})\/(.+)$/.exec(rest);
  if (life === null) return undefined;
  const [, agent = '', incarnation = '', below = ''] = life;
  const owner = { vault, agent, incarnation: Number.parseInt(incarnation, 16) };
  const pack = /^packs\/([0-9a-f]{2})\/([0-9a-f]{64})\.pack$/.exec(below);
  if (pack !== null) return pack[2]?.startsWith(pack[1] ?? '') ? { kind: 'pack', ...owner, name: pack[2] } : undefined;
  const segment = /^log\/([0-9a-f]{16})-([0-9a-f]{16})\.seg$/.exec(below);
  if (segment === null) return undefined;
  const [firstSeq, lastSeq] = [Number.parseInt(segment[1] ?? '', 16), Number.parseInt(segment[2] ?? '', 16)];
  if (!Number.isSafeInteger(lastSeq) || firstSeq < 1 || firstSeq > lastSeq) return undefined;
  return { kind: 'segment', ...owner, firstSeq, lastSeq };
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
