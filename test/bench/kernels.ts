/** The four kernels of the hot path, each on one core and in memory: chunk, compress, seal, open. Rates in MB/s (10^6 bytes). */
import { randomBytes } from 'node:crypto';
import { createChunker } from '../../packages/engine/src/chunking/chunker.ts';
import { createIdentifier } from '../../packages/engine/src/codec/identify.ts';
import { createOpener } from '../../packages/engine/src/codec/open.ts';
import { createSealer } from '../../packages/engine/src/codec/seal.ts';
import { loadSodium } from '../../packages/engine/src/codec/sodium.ts';
import { nativeZstd } from '../../packages/engine/src/codec/zstd.ts';
import { ChunkKind } from '../../packages/engine/src/core/ids.ts';
import { fixtureVaultKeys } from '../../packages/engine/src/testing/vault-keys-fixture.ts';

export interface KernelRate {
  readonly kernel: string;
  readonly mbPerS: number;
}

const CHUNK = { min: 128 * 1024, avg: 512 * 1024, max: 2 * 1024 * 1024 };
const SAMPLE_S = 1;

/** Measures each kernel for about a second on text-like bytes, after a warm-up. */
export async function measureKernels(): Promise<KernelRate[]> {
  const sodium = await loadSodium();
  const keys = fixtureVaultKeys(sodium, '00'.repeat(16), new Uint8Array(32).fill(7));
  const text = textLike(32 * 1024 * 1024);
  const large = text.subarray(0, 512 * 1024);
  const small = text.subarray(0, 4 * 1024);
  const chunker = createChunker(keys.chunkerSecret, CHUNK);
  const identify = createIdentifier(keys.idKey);
  const sealer = createSealer(sodium, keys, (length) => randomBytes(length));
  const opener = createOpener(sodium, keys);
  const zstd = nativeZstd();
  const cuts = new Uint32Array(1024);
  const rates: KernelRate[] = [];
  const rate = (kernel: string, bytes: number, work: () => unknown) =>
    rates.push({ kernel, mbPerS: measure(bytes, work) });

  rate('chunk (FastCDC, WASM)', text.length, () => chunker.cutAll(text, text.length, true, cuts));
  rate('identify (SHA-256, keyed) 512 KiB', large.length, () => identify(ChunkKind.data, large));
  rate('compress (zstd -3) 512 KiB', large.length, () => zstd.compress(large, 3));
  rate('compress (zstd -1) 512 KiB', large.length, () => zstd.compress(large, 1));
  rate('compress (zstd -3) 4 KiB', small.length, () => zstd.compress(small, 3));
  for (const [name, plain] of [
    ['512 KiB', large],
    ['4 KiB', small],
  ] as const) {
    const id = identify(ChunkKind.data, plain);
    rate(`seal (no compression) ${name}`, plain.length, () =>
      sealer.seal(ChunkKind.data, id, plain, 3, { compress: false }),
    );
    const sealed = sealer.seal(ChunkKind.data, id, plain, 3, { compress: true }).bytes;
    rate(`open and re-identify ${name}`, plain.length, () => opener.open(ChunkKind.data, id, sealer.keyId, sealed));
  }
  return rates;
}

function measure(bytes: number, work: () => unknown): number {
  const until = (seconds: number): number => {
    let rounds = 0;
    const start = performance.now();
    do {
      work();
      rounds++;
    } while (performance.now() - start < seconds * 1000);
    return (bytes * rounds) / (performance.now() - start) / 1000;
  };
  until(SAMPLE_S / 5);
  return until(SAMPLE_S);
}

/** Words with numbers in between: compresses about 3 : 1, the same bytes in every run. */
function textLike(length: number): Uint8Array {
  const words =
    'the store keeps sealed chunks in packs and the index says where each of them lies until a hold is released'.split(
      ' ',
    );
  let state = 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const out = Buffer.alloc(length);
  let at = 0;
  while (at < length) at += out.write(next(6) === 0 ? `${next(1_000_000)} ` : `${words[next(words.length)]} `, at);
  return out;
}
