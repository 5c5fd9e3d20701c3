/** What tasks of one worker share: the configuration, and the libraries, each loaded when first needed. */
import { createHash, randomFillSync } from 'node:crypto';
import type { Chunker } from '../chunking/chunker.ts';
import type { Identify } from '../codec/identify.ts';
import type { Opener } from '../codec/open.ts';
import type { Sealer } from '../codec/seal.ts';
import type { RandomBytes } from '../core/clock.ts';
import type { WorkerConfig } from './worker-config.ts';

export interface WorkerContext {
  readonly config: WorkerConfig;
  readonly random: RandomBytes;
  sealer(): Promise<Sealer>;
  opener(): Promise<Opener>;
  chunker(): Promise<Chunker>;
  identify(): Promise<Identify>;
  /** State that a task keeps between its calls on this worker, under a key of its own. */
  readonly kept: Map<string, unknown>;
}

export function createWorkerContext(config: WorkerConfig): WorkerContext {
  const random = config.randomSeed === undefined ? systemRandom : seededRandom(config.randomSeed);
  return {
    config,
    random,
    kept: new Map(),
    sealer: once(async () => {
      const [{ createSealer }, { loadSodium }] = await Promise.all([
        import('../codec/seal.ts'),
        import('../codec/sodium.ts'),
      ]);
      const { sharedZstd } = await import('./shared-zstd.ts');
      return createSealer(await loadSodium(), config.keys, random, sharedZstd());
    }),
    opener: once(async () => {
      const [{ createOpener }, { loadSodium }] = await Promise.all([
        import('../codec/open.ts'),
        import('../codec/sodium.ts'),
      ]);
      const { sharedZstd } = await import('./shared-zstd.ts');
      return createOpener(await loadSodium(), config.keys, sharedZstd());
    }),
    chunker: once(async () => {
      const { createChunker } = await import('../chunking/chunker.ts');
      return createChunker(config.keys.chunkerSecret, config.chunker);
    }),
    identify: once(async () => {
      const { createIdentifier } = await import('../codec/identify.ts');
      return createIdentifier(config.keys.idKey);
    }),
  };
}

/** Keeps the promise of the first call. */
function once<Value>(load: () => Promise<Value>): () => Promise<Value> {
  let loaded: Promise<Value> | undefined;
  return () => {
    loaded ??= load();
    return loaded;
  };
}

/** A worker is the composition root of its thread: this is where its chance comes from. One call to the system serves many chunks. */
const systemRandom: RandomBytes = (length) => {
  if (length > pool.length) return randomFillSync(new Uint8Array(length));
  if (poolUsed + length > pool.length) {
    // New memory, as views of the last one may still be in use.
    pool = randomFillSync(new Uint8Array(RANDOM_POOL_BYTES));
    poolUsed = 0;
  }
  poolUsed += length;
  return pool.subarray(poolUsed - length, poolUsed);
};

const RANDOM_POOL_BYTES = 4096;
let pool = new Uint8Array(RANDOM_POOL_BYTES);
let poolUsed = RANDOM_POOL_BYTES;

function seededRandom(seed: Uint8Array): RandomBytes {
  let counter = 0;
  return (length) => {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      const block = createHash('sha256').update(seed).update(String(counter++)).digest();
      out.set(block.subarray(0, Math.min(32, length - at)), at);
    }
    return out;
  };
}
