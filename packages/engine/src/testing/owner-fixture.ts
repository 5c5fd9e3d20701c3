/** An agent that writes records, seals chunks and signs hold batches, for tests of what stores and holders do with them. */
import { createHash } from 'node:crypto';
import { identify } from '../codec/identify.ts';
import { createSealer } from '../codec/seal.ts';
import { loadSodium } from '../codec/sodium.ts';
import { type AgentId, ChunkKind, packClassOf } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';
import { encodeHoldBatch, type HoldBatch } from '../log/hold-batch.ts';
import { nextEnvelope } from '../log/next-envelope.ts';
import { type EncodedRecord, encodeRecord } from '../log/record.ts';
import type { Head, RecordBody } from '../log/record-body.ts';
import { createSeededRandom } from './seeded-random.ts';
import { FIXTURE_VAULT } from './store-fixture.ts';
import { fixtureVaultKeys } from './vault-keys-fixture.ts';

const sodium = await loadSodium();

export function fixtureKeys(): VaultKeys {
  return fixtureVaultKeys(sodium, FIXTURE_VAULT, new Uint8Array(32).fill(3));
}

export interface OwnerFixture {
  readonly agent: AgentId;
  readonly keys: VaultKeys;
  readonly signSeed: Uint8Array;
  readonly signPublicKey: Uint8Array;
  head: Head | undefined;
  incarnation: number;
  /** The next record of its log; its head moves on. */
  record(body?: RecordBody): EncodedRecord;
  /** A sealed chunk of this text. */
  chunk(text: string, kind?: ChunkKind): SealedChunk;
  batch(chunks: readonly SealedChunk[], op: number, holder: AgentId, over?: Partial<HoldBatch>): Uint8Array;
}

export function ownerFixture(name: string): OwnerFixture {
  const random = createSeededRandom(name);
  const keys = fixtureKeys();
  const signSeed = random(32);
  const sealer = createSealer(sodium, keys, random);
  const owner: OwnerFixture = {
    agent: Buffer.from(random(16)).toString('hex'),
    keys,
    signSeed,
    signPublicKey: sodium.crypto_sign_seed_keypair(signSeed).publicKey,
    head: undefined,
    incarnation: 1,
    record: (body = { type: 'unpin', snapshot: 'aa'.repeat(32) }) => {
      const envelope = nextEnvelope(owner.head, {
        vault: FIXTURE_VAULT,
        agent: owner.agent,
        incarnation: owner.incarnation,
        keyId: keys.currentKeyId,
      });
      const record = encodeRecord(sodium, { envelope, body, keys, signSeed, random24: random(24) });
      owner.head = { incarnation: envelope.incarnation, seq: envelope.seq, hash: record.hash };
      return record;
    },
    chunk: (text, kind = ChunkKind.data) => {
      const plain = Buffer.from(text);
      const id = identify(keys, kind, plain);
      const sealed = sealer.seal(kind, id, plain, 3, { compress: true });
      return {
        id,
        packClass: packClassOf(kind),
        keyId: keys.currentKeyId,
        bytes: sealed.bytes,
        sha256: createHash('sha256').update(sealed.bytes).digest(),
        identified: true,
      };
    },
    batch: (chunks, op, holder, over = {}) =>
      encodeHoldBatch(
        sodium,
        {
          verb: 'hold',
          vault: FIXTURE_VAULT,
          owner: owner.agent,
          holder,
          head: owner.head ?? { incarnation: owner.incarnation, seq: 0, hash: '00'.repeat(32) },
          op,
          entries: chunks.map((chunk) => ({
            id: chunk.id,
            sealedSha256: chunk.sha256,
            sealedBytes: chunk.bytes.length,
            keyId: chunk.keyId,
            packClass: chunk.packClass,
          })),
          ...over,
        },
        signSeed,
      ),
  };
  return owner;
}
