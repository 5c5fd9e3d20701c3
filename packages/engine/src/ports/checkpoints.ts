/** Hold checkpoints as flows see them (docs/chain.md 1.7, 2.12, 8). */

export interface CheckpointPolicy {
  /** Bytes of bodies since the last checkpoint from which on another one is made, where its parts are not larger than that. */
  readonly bytesMin?: number | undefined;
  /** Shards that get one at any rate. */
  readonly shards?: readonly number[] | undefined;
}

export interface MadeCheckpoint {
  readonly shard: number;
  readonly asOfSeq: number;
  /** Of its entry; undefined when it was not written. */
  readonly seq: number | undefined;
  /** Where the files and the index differ, so that none was written. */
  readonly difference: string | undefined;
}
