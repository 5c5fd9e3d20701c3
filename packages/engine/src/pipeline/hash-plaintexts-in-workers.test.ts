import { expect, test } from 'vitest';
import { loadSodium } from '../codec/sodium.ts';
import { ChunkKind } from '../core/ids.ts';
import { createTreeFixture } from '../testing/tree-fixture.ts';
import { hashPlaintextsInWorkers } from './hash-plaintexts-in-workers.ts';
import type { WorkerConfig } from './worker-config.ts';
import { createWorkerPool } from './worker-pool.ts';

test('the answers of all workers come in the order of the chunks; what does not open has none', async () => {
  const sodium = await loadSodium();
  const fixture = await createTreeFixture('hash plaintexts');
  const plains = Array.from({ length: 7 }, (_, i) => Buffer.from(`plain ${i} `.repeat(500)));
  const chunks = plains.map((plain) => {
    const id = fixture.put(ChunkKind.data, plain);
    const { sealed } = [...fixture.chunks.values()].at(-1)!;
    return { id, packClass: 'data', keyId: 1, sealed: Uint8Array.from(sealed) } as const;
  });
  chunks[2]!.sealed[60]! ^= 1;
  const nonce = new Uint8Array(32).fill(3);
  const config = { keys: fixture.keys, chunker: { min: 1024, avg: 4096, max: 16384 }, level: 3 };
  const pool = createWorkerPool({ size: 2, config: config as unknown as WorkerConfig });
  try {
    const answers = await hashPlaintextsInWorkers(pool)(nonce, chunks);
    const wanted = plains.map((plain, i) => (i === 2 ? undefined : sodium.crypto_generichash(32, plain, nonce)));
    expect(answers).toEqual(wanted);
    expect(chunks.every(({ sealed }) => sealed.length > 0)).toBe(true);
    expect(await hashPlaintextsInWorkers(pool)(nonce, [])).toEqual([]);
  } finally {
    await pool.close();
  }
});
