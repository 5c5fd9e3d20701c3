/**
 * A store that follows an owner with hold checkpoints, the same in every process. Run as a program it takes the owner's
 * entries, proves its checkpoints or joins by their parts, and may be killed at a failpoint.
 *
 * node checkpoint-workload.ts DIR prove|join|open [FAILPOINT[:NTH]]
 */
import { writeSync } from 'node:fs';
import { encodeHoldCheckpoint, type HoldCheckpoint, PARTS, partOfHolds, summaryOf } from '../chain/checkpoint-parts.ts';
import { type EntryHeader, EntryKind } from '../chain/entry-head.ts';
import { holdStateOf, type ShardHolds } from '../chain/hold-state.ts';
import type { WholeEntry } from '../chain/record-entry.ts';
import { armFailpoints, failpointHandler } from '../core/failpoint.ts';
import { proveCheckpoints } from '../store/chains/prove-checkpoints.ts';
import { type ChainWriter, chainWriter, makeForm } from './chain-writer.ts';
import { FIXTURE_VAULT, type OpenedStore, openStore } from './store-fixture.ts';

export const CHECKPOINT_SHARD = 1;

export const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** What a shard holds after an entry, by the function that says what a chain holds. */
export function holdsAsOf(entries: readonly WholeEntry[], asOfSeq: number, shard = CHECKPOINT_SHARD): ShardHolds {
  return holdStateOf(entries.filter(({ head }) => head.header.seq <= asOfSeq)).get(shard) ?? new Map();
}

export function partsOf(holds: ShardHolds): Uint8Array[] {
  return numbers(0, PARTS).map((byte) => partOfHolds(holds, byte));
}

export function checkpointOf(entries: readonly WholeEntry[], asOfSeq: number, shard?: number): HoldCheckpoint {
  return { asOfSeq, parts: partsOf(holdsAsOf(entries, asOfSeq, shard)).map(summaryOf) };
}

/** Appends the checkpoint that these entries make; those of another chain make a false one. */
export function writeCheckpoint(owner: ChainWriter, asOfSeq: number, entries = owner.entries): WholeEntry {
  const body = encodeHoldCheckpoint(checkpointOf(entries, asOfSeq));
  return owner.clear(EntryKind.holdCheckpoint, body, CHECKPOINT_SHARD);
}

/** Adds and releases, with a checkpoint after 3 and after 6 entries. */
export function checkpointOwner(): ChainWriter {
  const owner = chainWriter('checkpoints', { vault: FIXTURE_VAULT });
  owner.add(
    CHECKPOINT_SHARD,
    numbers(0, 12).map((n) => makeForm(n)),
  );
  owner.record();
  writeCheckpoint(owner, 2);
  owner.release(
    CHECKPOINT_SHARD,
    [1, 2].map((n) => makeForm(n).id),
  );
  owner.add(
    CHECKPOINT_SHARD,
    [...numbers(20, 26), 2].map((n) => makeForm(n)),
  );
  writeCheckpoint(owner, 5);
  owner.add(CHECKPOINT_SHARD, [makeForm(40)]);
  return owner;
}

export function openCheckpointStore(path: string): Promise<OpenedStore> {
  const owner = checkpointOwner();
  return openStore(path, { signPublicKey: () => owner.signPublicKey });
}

export const keysOf = (owner: ChainWriter) => ({
  agent: owner.agent,
  incarnation: 1,
  signPublicKey: () => owner.signPublicKey,
});

async function prove(store: OpenedStore, owner: ChainWriter, tell: (line: string) => void): Promise<void> {
  for (const until of [3, owner.entries.length]) {
    await store.chains.take(keysOf(owner), owner.entries.slice(0, until));
    for (const { seq, verdict } of await proveCheckpoints(store.chains.followed(owner.agent)))
      tell(`${verdict} ${seq}`);
  }
}

/** Bodies up to the second checkpoint are not here: its parts are taken in their place. */
async function joinByParts(store: OpenedStore, owner: ChainWriter, tell: (line: string) => void): Promise<void> {
  const asOfSeq = 5;
  const isLeftOut = ({ kind, seq }: EntryHeader): boolean =>
    (kind === EntryKind.add || kind === EntryKind.release) && seq <= asOfSeq;
  const entries = owner.entries.map(({ head, body }) => ({ head, body: isLeftOut(head.header) ? undefined : body }));
  await store.chains.take(keysOf(owner), entries);
  const { parts } = store.chains;
  const { seq, lacking } = await parts.wanted(owner.agent, CHECKPOINT_SHARD);
  if (seq === 0) return;
  const made = partsOf(holdsAsOf(owner.entries, asOfSeq));
  for (const byte of lacking) await parts.take(owner.agent, CHECKPOINT_SHARD, seq, byte, made[byte]!);
  await parts.join(owner.agent, CHECKPOINT_SHARD, seq);
  tell('joined');
}

if (import.meta.main) {
  const [path, mode, setting] = process.argv.slice(2);
  const tell = (line: string): void => void writeSync(1, `${line}\n`);
  const kill = (): void => {
    process.kill(process.pid, 'SIGKILL');
  };
  armFailpoints(failpointHandler(setting, kill, setting === undefined ? (name) => tell(`hit ${name}`) : undefined)!);
  const store = await openCheckpointStore(path!);
  const owner = checkpointOwner();
  if (mode === 'prove') await prove(store, owner, tell);
  if (mode === 'join') await joinByParts(store, owner, tell);
  store.close();
  tell('done');
}
