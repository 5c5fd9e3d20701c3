/**
 * A store's life in rounds that is the same in every process: chunks are flushed, a record appended, holds taken, packs merged and chunks dropped.
 * Run as a program it does the rounds in a data dir and tells each acknowledgement on stdout; a failpoint may kill it anywhere.
 *
 *   node crash-workload.ts DIR FIRST_ROUND END_ROUND [FAILPOINT[:NTH]]
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { createOpener } from '../codec/open.ts';
import { loadSodium } from '../codec/sodium.ts';
import { armFailpoints, failpointHandler } from '../core/failpoint.ts';
import type { SealedChunk } from '../core/ports/chunk-store.ts';
import { openRecord } from '../log/record.ts';
import { createHolder } from '../store/holder.ts';
import { identifyWith } from '../store/identify-frames.ts';
import { fixtureKeys, ownerFixture } from './owner-fixture.ts';
import { realClock } from './real-clock.ts';
import { createSeededRandom } from './seeded-random.ts';
import { FIXTURE_VAULT, type OpenedStore, openStore, storeChunks } from './store-fixture.ts';

const HOLDER = 'ee'.repeat(16);
const CHUNKS_A_ROUND = 4;

/** Chunks of a round; the last is of the meta class. */
export function roundChunks(round: number): SealedChunk[] {
  const random = createSeededRandom(`round ${round}`);
  return Array.from({ length: CHUNKS_A_ROUND }, (_, i) => {
    const bytes = random(i === 0 ? 20_000 : 900);
    const sha256 = createHash('sha256').update(bytes).digest();
    return { id: random(32), packClass: i === 3 ? 'meta' : 'data', keyId: 1, bytes, sha256, identified: true };
  });
}

/** Records 1 to `count` of the owner's log, the same bytes each time. */
export function workloadRecords(count: number): Uint8Array[] {
  const owner = ownerFixture('crash records');
  return Array.from({ length: count }, () => owner.record().bytes);
}

/** Chunks that the owner asks to hold in a round; a holder opens them. */
export function heldChunks(round: number): SealedChunk[] {
  const owner = ownerFixture('crash holds');
  let chunks: SealedChunk[] = [];
  // Sealing takes from the owner's random stream: the rounds before have to be gone through.
  for (let at = 0; at <= round; at++) chunks = [owner.chunk(`held ${at} a`), owner.chunk(`held ${at} b`)];
  return chunks;
}

export const workloadHolds = (store: OpenedStore): number =>
  store.index.holds.heldCount(ownerFixture('crash holds').agent).chunks;

export async function openWorkloadStore(path: string): Promise<OpenedStore> {
  const sodium = await loadSodium();
  return openStore(path, { openRecord: (record) => openRecord(sodium, record, fixtureKeys()) });
}

async function run(path: string, first: number, end: number, tell: (line: string) => void): Promise<void> {
  const sodium = await loadSodium();
  const store = await openWorkloadStore(path);
  const holder = createHolder({
    sodium,
    vault: FIXTURE_VAULT,
    self: HOLDER,
    signSeed: new Uint8Array(32).fill(5),
    clock: realClock,
    dataDir: store.dataDir,
    index: store.index,
    chunks: store.chunks,
    log: store.logs,
    identify: identifyWith(createOpener(sodium, fixtureKeys())),
    hashPlaintexts: undefined,
    openRecord: (record) => openRecord(sodium, record, fixtureKeys()),
    signKeyOf: () => undefined,
    floorBytes: 0,
  });
  const records = workloadRecords(end);
  const owner = ownerFixture('crash records');
  const holding = ownerFixture('crash holds');
  const card = { agent: holding.agent, incarnation: 1, signPublicKey: holding.signPublicKey };
  for (let round = first; round < end; round++) {
    await storeChunks(store, roundChunks(round));
    tell(`chunks ${round}`);
    await holder.addRecords({ agent: owner.agent, incarnation: 1, signPublicKey: owner.signPublicKey }, [
      records[round]!,
    ]);
    tell(`record ${round}`);
    const held = heldChunks(round);
    const reply = await holder.hold(card, holding.batch(held, round + 1, HOLDER));
    if (reply.receipt === undefined) {
      const frames = held.map(({ id, keyId, packClass, bytes }) => ({ id, keyId, packClass, sealed: bytes }));
      await holder.receive(
        card,
        round + 1,
        (async function* () {
          yield* frames;
        })(),
      );
    }
    tell(`held ${round}`);
    if (round % 5 === 4) {
      tell(`dropping ${round - 3}`);
      await store.chunks.drop(roundChunks(round - 3).map((chunk) => chunk.id));
      tell(`dropped ${round - 3}`);
    }
    if (round % 3 === 2) await store.chunks.mergeSmallPacks();
  }
  store.close();
}

if (import.meta.main) {
  const [path, first, end, setting] = process.argv.slice(2);
  const tell = (line: string): void => void writeSync(1, `${line}\n`);
  const kill = (): void => {
    process.kill(process.pid, 'SIGKILL');
  };
  armFailpoints(failpointHandler(setting, kill, setting === undefined ? (name) => tell(`hit ${name}`) : undefined)!);
  await run(path!, Number(first), Number(end), tell);
  tell('done');
}
