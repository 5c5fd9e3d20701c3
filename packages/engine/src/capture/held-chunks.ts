/**
 * Has everything that a capture reaches held in its root's shard. Chunks that it stores are added when their pack is durable; chunks that were stored
 * before are added when no entry holds them there (docs/chain.md 2.1, 2.2).
 */
import type { Form } from '../chain/forms.ts';
import { EdgeError, toEdgeError } from '../core/errors.ts';
import { type AgentId, type ChunkId, type PackClass, toHex } from '../core/ids.ts';
import type { ChunkIndex, FrameRow } from '../core/ports/index.ts';
import type { Chains, OwnChain } from '../ports/chains.ts';
import type { Placed } from '../ports/placed.ts';

export interface HeldChunksDeps {
  readonly self: AgentId;
  readonly shard: number;
  readonly session: number;
  readonly chain: Pick<OwnChain, 'add' | 'holds'>;
  readonly chains: Pick<Chains, 'isHeld'>;
  readonly index: Pick<ChunkIndex, 'claim' | 'locate'>;
  readonly placed: Pick<Placed, 'targetsOf'> | undefined;
  readonly fail: (error: unknown) => void;
}

/** Forms given to the chain together. */
const FORMS_AT_ONCE = 4096;

export class HeldChunks {
  readonly #deps: HeldChunksDeps;
  #adding: Promise<void> = Promise.resolve();
  #failure: EdgeError | undefined;

  constructor(deps: HeldChunksDeps) {
    this.#deps = deps;
  }

  /** Of a pack that is durable now. A chunk that was stored again while it is held needs no entry: its form is listed when a store wants it (2.11). */
  async addPack(packClass: PackClass, frames: Iterable<FrameRow>): Promise<void> {
    let forms: Form[] = [];
    for (const frame of frames) {
      forms.push(formOf(frame, packClass));
      if (forms.length < FORMS_AT_ONCE) continue;
      await this.#deps.chain.add(this.#deps.shard, forms);
      forms = [];
    }
    if (forms.length > 0) await this.#deps.chain.add(this.#deps.shard, forms);
  }

  /** Of chunks that are here, or cold. */
  hold(ids: readonly ChunkId[]): void {
    if (ids.length === 0) return;
    const { chain, chains, index, self, shard } = this.#deps;
    const held = chains.isHeld(self, shard, ids);
    const loose = ids.filter((_, i) => held[i] === 0);
    if (loose.length === 0) return;
    const forms = index.locate(loose).flatMap(([copy]) => (copy === undefined ? [] : [formOf(copy, copy.packClass)]));
    this.#adding = this.#adding
      .then(async () => {
        if (this.#failure !== undefined) return;
        await chain.add(shard, forms);
        await this.requireHeld(loose);
      })
      .catch((error: unknown) => {
        this.#failure ??= toEdgeError(error);
        this.#deps.fail(this.#failure);
      });
  }

  /**
   * Whether all these chunks are stored: here, cold, or away (held in the shard, and some target has them). Claims them, and has held what is here
   * and is not held yet.
   */
  allStored(ids: readonly ChunkId[]): boolean {
    const { chains, index, placed, self, session, shard } = this.#deps;
    const here = index.claim(session, ids);
    if (here.includes(0)) {
      const missing = ids.filter((_, i) => here[i] === 0);
      if (placed === undefined || chains.isHeld(self, shard, missing).includes(0)) return false;
      if (placed.targetsOf(missing).some((targets) => targets.length === 0)) return false;
    }
    this.hold(ids.filter((_, i) => here[i] === 1));
    return true;
  }

  /**
   * Checked before a record is appended (2.2): what this capture looked up or stored is held in the shard, or its form
   * waits for an entry in front of the record. What it takes from rows of a claimed snapshot is held by that claim, so
   * this costs nothing where nothing changed. A breach is a fault of this program: nothing is recorded.
   */
  async requireHeld(ids: readonly ChunkId[]): Promise<void> {
    const { chain, shard } = this.#deps;
    const held = await chain.holds(shard, ids);
    const loose = ids.filter((_, i) => held[i] === 0);
    if (loose.length === 0) return;
    throw new EdgeError(
      'E_FAILED',
      `${loose.length} chunks that the snapshot reaches are not held in shard ${shard}, such as ${toHex(loose[0]!).slice(0, 8)}: nothing was recorded`,
      { hint: 'Run the command again; when it says so again, report it.', context: { shard, chunks: loose.length } },
    );
  }

  /** Every form given so far is with the chain. */
  async added(): Promise<void> {
    await this.#adding;
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function formOf(frame: Pick<FrameRow, 'id' | 'keyId' | 'sealedBytes' | 'sealedSha256'>, packClass: PackClass): Form {
  const { id, keyId, sealedBytes, sealedSha256 } = frame;
  return { id, keyId, sealedBytes, sealedSha256, formClass: packClass };
}
