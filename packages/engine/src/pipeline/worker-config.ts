/** What every pipeline worker is told when it starts; structured-clonable. */
import type { ChunkerParams } from '../chunking/params.ts';
import type { VaultKeys } from '../keys/vault-keys.ts';

export interface WorkerConfig {
  readonly keys: VaultKeys;
  /** Sizes in bytes, from the vault's descriptor. */
  readonly chunker: ChunkerParams;
  /** zstd level of new chunks. */
  readonly level: number;
  /** Tests only: nonces come from a stream of this seed instead of the system, so that one seed replays a run. */
  readonly randomSeed?: Uint8Array;
}
