/**
 * A store's life in rounds that is the same in every process: chunks are flushed and held, a record appended, another owner's entries and frames taken, packs
 * merged, chunks dropped and released. Run as a program it does the rounds in a data dir and tells each acknowledgement on stdout; a failpoint may kill it
 * anywhere.
 *
 *   node crash-workload.ts DIR FIRST_ROUND END_ROUND|takeover [FAILPOINT[:NTH]]
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import type { Form } from '../chain/forms.ts';
import type { WholeEntry } from '../chain/record-entry.ts';
import { armFailpoints, failpointHandler } from '../core/failpoint.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import { receiveFrames } from '../hold/receive-frames.ts';
import type { OwnerKeys } from '../ports/chains.ts';
import { type ChainWriter, chainWriter } from './chain-writer.ts';
import { createSeededRandom } from './seeded-random.ts';
import { FIXTURE_VAULT, type OpenedStore, openStore, storeChunks } from './store-fixture.ts';

const CHUNKS_A_ROUND = 4;
/** Of another owner's entries, those behind this one are on no trail after its takeover. */
export const TAKEOVER_BASE = 12;
export const OWN_SHARD = 1;
export const HELD_SHARD = 2;

/** Chunks of a round; the last is of the meta class. */
export function roundChunks(round: number): SealedChunk[] {
  const random = createSeededRandom(`round ${round}`);
  return Array.from({ length: CHUNKS_A_ROUND }, (_, i) => {
    const bytes = random(i === 0 ? 20_000 : 900);
    return { ...made(random(32), bytes), packClass: i === 3 ? 'meta' : 'data' };
  });
}

/** Chunks that another owner has held in a round. */
export function heldChunks(round: number): SealedChunk[] {
  const random = createSeededRandom(`held ${round}`);
  return [0, 1].map(() => ({ ...made(random(32), random(700)), identified: false }));
}

function made(id: Uint8Array, bytes: Uint8Array): SealedChunk {
  const sha256 = createHash('sha256').update(bytes).digest();
  return { id, packClass: 'data', keyId: 1, bytes, sha256, identified: true };
}

export function formOf({ id, sha256, bytes, keyId, packClass }: SealedChunk): Form {
  return { id, sealedSha256: sha256, sealedBytes: bytes.length, keyId, formClass: packClass };
}

/** The other owner after so many rounds: two entries each, an add and a record. */
export function workloadOwner(rounds: number): ChainWriter {
  const owner = chainWriter('crash holds', { vault: FIXTURE_VAULT });
  for (let round = 0; round < rounds; round++) {
    owner.add(HELD_SHARD, heldChunks(round).map(formOf));
    owner.record();
  }
  return owner;
}

/** What the owner wrote as its second incarnation, from an earlier entry on. */
export function workloadTakeover(rounds: number): WholeEntry[] {
  const owner = workloadOwner(rounds);
  const base = owner.entries[TAKEOVER_BASE - 1]!;
  const { incarnation, seq } = base.head.header;
  owner.position = { incarnation, seq, link: base.head.link };
  owner.incarnation = 2;
  const card = Buffer.from(JSON.stringify({ incarnation: 2, base: owner.position }));
  return [owner.takeover(card), owner.add(HELD_SHARD, heldChunks(1000).map(formOf))];
}

const keysOf = (owner: ChainWriter): OwnerKeys => ({
  agent: owner.agent,
  incarnation: owner.incarnation,
  signPublicKey: () => owner.signPublicKey,
});

export async function openWorkloadStore(path: string): Promise<OpenedStore> {
  const owner = workloadOwner(0);
  return openStore(path, {
    signPublicKey: () => owner.signPublicKey,
    openCard: (body) => ({
      agentId: owner.agent,
      signPublicKey: owner.signPublicKey,
      ...(JSON.parse(Buffer.from(body).toString()) as { incarnation: number; base: undefined }),
    }),
    fileBytes: 1200,
  });
}

async function run(path: string, first: number, end: number, tell: (line: string) => void): Promise<void> {
  const store = await openWorkloadStore(path);
  const owner = workloadOwner(end);
  for (let round = first; round < end; round++) {
    const chunks = roundChunks(round);
    await storeChunks(store, chunks);
    tell(`chunks ${round}`);
    await store.chain.add(OWN_SHARD, chunks.map(formOf));
    await store.chain.append({ type: 'unpin', snapshot: 'aa'.repeat(32) });
    tell(`record ${round}`);
    await takeRound(store, owner, round);
    tell(`held ${round}`);
    if (round % 5 === 4) {
      const ids = roundChunks(round - 3).map((chunk) => chunk.id);
      tell(`dropping ${round - 3}`);
      await store.chain.release(OWN_SHARD, ids, store.chain.position()!.seq);
      await store.chunks.drop(ids);
      tell(`dropped ${round - 3}`);
    }
    if (round % 3 === 2) await store.chunks.mergeSmallPacks();
    if (round % 4 === 3) {
      const made = await store.chain.makeCheckpoints({ shards: [OWN_SHARD] });
      if (made.some(({ difference }) => difference !== undefined)) throw new Error(JSON.stringify(made));
    }
  }
  store.close();
}

/** Every other body comes after its header. */
async function takeRound(store: OpenedStore, owner: ChainWriter, round: number): Promise<void> {
  const entries = owner.entries.slice(0, round * 2 + 2);
  const [add, record] = entries.slice(-2) as [WholeEntry, WholeEntry];
  const comesLate = round % 2 === 1;
  await store.chains.take(keysOf(owner), [
    ...entries.slice(0, -2),
    comesLate ? { head: add.head, body: undefined } : add,
    record,
  ]);
  if (comesLate) await store.chains.takeBodies(owner.agent, [{ seq: add.head.header.seq, body: add.body }]);
  const frames = heldChunks(round).map(({ id, keyId, packClass, bytes }) => ({ id, keyId, packClass, sealed: bytes }));
  const deps = { chunks: store.chunks, chains: store.chains, index: store.index, identify: undefined };
  await receiveFrames(
    owner.agent,
    (async function* () {
      yield* frames;
    })(),
    deps,
  );
}

async function takeOver(path: string, rounds: number, tell: (line: string) => void): Promise<void> {
  const store = await openWorkloadStore(path);
  const owner = workloadOwner(rounds);
  await store.chains.take({ ...keysOf(owner), incarnation: 2 }, workloadTakeover(rounds));
  tell('taken over');
  store.close();
}

if (import.meta.main) {
  const [path, first, end, setting] = process.argv.slice(2);
  const tell = (line: string): void => void writeSync(1, `${line}\n`);
  const kill = (): void => {
    process.kill(process.pid, 'SIGKILL');
  };
  armFailpoints(failpointHandler(setting, kill, setting === undefined ? (name) => tell(`hit ${name}`) : undefined)!);
  if (end === 'takeover') await takeOver(path!, Number(first), tell);
  else await run(path!, Number(first), Number(end), tell);
  tell('done');
}
