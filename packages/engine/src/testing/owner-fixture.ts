/** An agent that writes its chain in memory and seals chunks, for tests of what stores and holders do with them. */
import { createHash } from 'node:crypto';
import type { Form } from '../chain/forms.ts';
import { identify } from '../codec/identify.ts';
import { createSealer } from '../codec/seal.ts';
import { loadSodium } from '../codec/sodium.ts';
import { ChunkKind, packClassOf } from '../core/ids.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import type { OwnerKeys } from '../ports/chains.ts';
import { type ChainWriter, chainWriter } from './chain-writer.ts';
import { createSeededRandom } from './seeded-random.ts';
import { FIXTURE_VAULT, fixtureKeys } from './store-fixture.ts';

const sodium = await loadSodium();

export interface OwnerFixture extends ChainWriter {
  /** As its card says. */
  readonly ownerKeys: OwnerKeys;
  /** A sealed chunk of this text; each time sealed anew. */
  chunk(text: string, kind?: ChunkKind): SealedChunk;
}

export function ownerFixture(name: string): OwnerFixture {
  const random = createSeededRandom(name);
  const writer = chainWriter(name, { vault: FIXTURE_VAULT });
  return Object.assign(writer, {
    ownerKeys: { agent: writer.agent, incarnation: 1, signPublicKey: () => writer.signPublicKey },
    chunk: chunkSealer(random),
  });
}

/** Seals texts with the keys of the fixtures' vault. */
export function chunkSealer(random: ReturnType<typeof createSeededRandom>): OwnerFixture['chunk'] {
  const keys = fixtureKeys();
  const sealer = createSealer(sodium, keys, random);
  return (text, kind = ChunkKind.data) => {
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
  };
}

/** The form that an add lists for a sealed chunk. */
export function formOf({ id, packClass, keyId, bytes, sha256 }: SealedChunk): Form {
  return { id, sealedSha256: sha256, sealedBytes: bytes.length, keyId, formClass: packClass };
}
