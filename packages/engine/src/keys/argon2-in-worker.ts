/**
 * Runs Argon2id in a thread that lives for one derivation: WASM memory never shrinks, and 256 MiB are too much to keep. The one place
 * of the pure layer that starts a thread; it still takes values and gives values.
 */
import { Worker } from 'node:worker_threads';
import { EdgeError } from '../core/errors.ts';
import { checkArgonCost, type PassphraseCost } from './passphrase-master.ts';

export interface Argon2Job {
  readonly passphrase: string;
  readonly cost: PassphraseCost;
}

export type DerivePassphraseMaster = (passphrase: string, cost: PassphraseCost) => Promise<Uint8Array>;

/** Same result as `derivePassphraseMaster`; E_FORMAT for a refused cost, E_FAILED when there is not enough memory. */
export const derivePassphraseMasterInWorker: DerivePassphraseMaster = async (passphrase, cost) => {
  checkArgonCost(cost.opsLimit, cost.memLimitKib);
  const file = import.meta.url.endsWith('.ts') ? './argon2-worker.ts' : './argon2-worker.js';
  const job: Argon2Job = { passphrase, cost: { ...cost, salt: new Uint8Array(cost.salt) } };
  const worker = new Worker(new URL(file, import.meta.url), { workerData: job, execArgv: [], stderr: true });
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the thread ended early (${code})`)));
    });
  } catch (cause) {
    const needed = Math.ceil(cost.memLimitKib / 1024);
    throw new EdgeError('E_FAILED', 'the passphrase could not be stretched', {
      hint: `Deriving the key needs about ${needed} MiB of free memory.`,
      cause,
    });
  } finally {
    await worker.terminate();
  }
};
