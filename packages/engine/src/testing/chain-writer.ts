/** An owner that writes its chain in memory, for tests of what reads chains. */

import { EntryKind, encodeEntry, placeAfter, positionOf } from '../chain/entry-head.ts';
import { encodeAdd, encodeRelease, type Form, KEY_BYTES } from '../chain/forms.ts';
import type { Link, Position } from '../chain/position.ts';
import { encodeDropBranch, encodeRecordEntry, type WholeEntry } from '../chain/record-entry.ts';
import { loadSodium } from '../codec/sodium.ts';
import type { Zstd } from '../codec/zstd.ts';
import type { AgentId, ChunkId, VaultId } from '../core/ids.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import type { RecordBody } from '../log/record-body.ts';
import { createSeededRandom } from './seeded-random.ts';
import { fixtureVaultKeys } from './vault-keys-fixture.ts';

const sodium = await loadSodium();

export interface ChainWriter {
  readonly vault: VaultId;
  readonly agent: AgentId;
  readonly keys: VaultKeys;
  readonly signSeed: Uint8Array;
  readonly signPublicKey: Uint8Array;
  incarnation: number;
  /** The end of the chain; set it back to write a fork. */
  position: Position | undefined;
  readonly entries: WholeEntry[];
  record(body?: RecordBody, shard?: number): WholeEntry;
  add(shard: number, forms: readonly Form[]): WholeEntry;
  release(shard: number, ids: readonly ChunkId[]): WholeEntry;
  takeover(card?: Uint8Array): WholeEntry;
  dropBranch(tip: Link): WholeEntry;
  /** An entry in the clear of any kind. */
  clear(kind: EntryKind, body: Uint8Array, shard?: number): WholeEntry;
}

export function chainWriter(
  name: string,
  given: { readonly vault?: VaultId; readonly vaultKey?: Uint8Array; readonly zstd?: Zstd } = {},
): ChainWriter {
  const random = createSeededRandom(`chain ${name}`);
  const vault = given.vault ?? '0a'.repeat(16);
  const keys = fixtureVaultKeys(sodium, vault, given.vaultKey ?? new Uint8Array(32).fill(3));
  const agent = Buffer.from(random(16)).toString('hex');
  const signSeed = random(32);
  const keep = (entry: WholeEntry) => {
    writer.entries.push(entry);
    writer.position = positionOf(entry.head);
    return entry;
  };
  const own = () => ({ vault, agent, incarnation: writer.incarnation });
  const writer: ChainWriter = {
    vault,
    agent,
    keys,
    signSeed,
    signPublicKey: sodium.crypto_sign_seed_keypair(signSeed).publicKey,
    incarnation: 1,
    position: undefined,
    entries: [],
    record: (body = { type: 'unpin', snapshot: 'aa'.repeat(32) }, shard = 0) => {
      const place = placeAfter(writer.position, own(), { kind: EntryKind.record, shard, keyId: keys.currentKeyId });
      const zstd = given.zstd === undefined ? {} : { zstd: given.zstd };
      return keep(encodeRecordEntry(sodium, { ...place, body, keys, signSeed, random24: random(24), ...zstd }));
    },
    add: (shard, forms) => writer.clear(EntryKind.add, encodeAdd(forms), shard),
    release: (shard, ids) => writer.clear(EntryKind.release, encodeRelease(ids), shard),
    takeover: (card = Buffer.from('a card')) => writer.clear(EntryKind.takeover, card),
    dropBranch: (tip) => writer.clear(EntryKind.dropBranch, encodeDropBranch(tip)),
    clear: (kind, body, shard = 0) => {
      const place = placeAfter(writer.position, own(), { kind, shard, keyId: 0 });
      return keep(encodeEntry(sodium, { ...place, body, signSeed }));
    },
  };
  return writer;
}

/** The form of a chunk whose id begins with the same 6 bytes as those of all others that this makes. */
export function makeFormOfKey(id: number, form = 1, over: Partial<Form> = {}): Form {
  const one = makeForm(id, form, over);
  return { ...one, id: Uint8Array.from(one.id, (byte, at) => (at < KEY_BYTES ? 0x55 : byte)) };
}

/** A form whose id and digest are made of the numbers: the same id with another form number is another form of the chunk. */
export function makeForm(id: number, form = 1, over: Partial<Form> = {}): Form {
  const bytes = (number: number, salt: number) => createSeededRandom(`form ${number} ${salt}`)(32);
  return {
    id: bytes(id, 0),
    sealedSha256: bytes(id, form),
    sealedBytes: 100 + form,
    keyId: 1,
    formClass: 'data',
    ...over,
  };
}
