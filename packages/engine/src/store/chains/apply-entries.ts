/** Brings entries that are durable in the files into the index: the hold state, snapshots and marks are functions of them (docs/chain.md 1.6). */
import { decodeHead, EntryKind, isHoldKind, requireBody } from '../../chain/entry-head.ts';
import { decodeAdd, decodeRelease } from '../../chain/forms.ts';
import type { CheckpointPart } from '../../chain/record-checkpoint.ts';
import { decodeDropBranch } from '../../chain/record-entry.ts';
import type { UnsatisfiedReason } from '../../chain/statement.ts';
import { type EdgeError, isEdgeError } from '../../core/errors.ts';
import type { RecordBody } from '../../log/record-body.ts';
import type { BodyBytes, ChainIndex, ChainRow, EntryRow, MissingReason } from '../../ports/chain-index.ts';
import type { PlacedEntry } from './chain-file.ts';

export interface ApplyDeps {
  readonly index: ChainIndex;
  readonly bodies: BodyBytes;
  /** Opens a record whose signature was verified; undefined where this agent has no key. */
  readonly openRecord: (entry: PlacedEntry) => RecordBody | undefined;
  /** Opens a part of a record checkpoint, in the same way. */
  readonly openCheckpoint: (entry: PlacedEntry) => CheckpointPart | undefined;
  /** A record that could not be opened, a body that could not be read. */
  readonly onProblem: (problem: EdgeError) => void;
}

/** Hold entries applied in one transaction. */
const ENTRIES_AT_ONCE = 16;
/** What makes a record of no use here although its signature is right: its place in the chain counts all the same. */
const UNUSABLE = ['E_INTEGRITY', 'E_FORMAT', 'E_NEWER_FORMAT', 'E_WRONG_KEY', 'E_DENIED'] as const;

/** One transaction. Answers the branches that an entry ended: their files can go. */
export function applyEntries(
  chain: number,
  entries: readonly PlacedEntry[],
  missing: UnsatisfiedReason,
  deps: ApplyDeps,
): ChainRow[] {
  const { index } = deps;
  return index.transaction(() => {
    const dropped: ChainRow[] = [];
    for (const entry of entries) {
      const { header, link } = entry.head;
      const { incarnation, seq, kind, shard, bodyBytes } = header;
      const waits = isHoldKind(kind);
      const row: EntryRow = {
        chain,
        seq,
        incarnation,
        kind,
        shard,
        link,
        bodyBytes,
        ...entry.place,
        isLate: false,
        waits,
      };
      index.chainTable.addEntry(row);
      if (shard !== 0) index.holds.noteShard(chain, shard);
      if (waits) applyFirst(chain, shard, new Map([[seq, entry.body]]), missing, deps, 1);
      else if (kind === EntryKind.record) applyRecord(row, entry, deps);
      else if (kind === EntryKind.recordCheckpoint) applyCheckpoint(row, entry, deps);
      else if (kind === EntryKind.dropBranch && entry.body !== undefined)
        dropped.push(...dropBranches(chain, decodeDropBranch(entry.body), deps));
    }
    return dropped;
  });
}

/** Applies what waits in a shard and has its body here, page by page. */
export function applyWaiting(chain: number, shard: number, missing: MissingReason, deps: ApplyDeps): void {
  while (deps.index.transaction(() => applyFirst(chain, shard, NONE, missing, deps, ENTRIES_AT_ONCE)) > 0);
}

/** Applies the records of a chain again, up to its position. */
export function applyRecordsAgain(
  chain: number,
  read: (row: EntryRow) => PlacedEntry | undefined,
  deps: ApplyDeps,
): void {
  deps.index.log.clearMarks(chain);
  for (let after = 0; ; ) {
    const rows = deps.index.chainTable.entries(chain, after, Number.MAX_SAFE_INTEGER, 256);
    if (rows.length === 0) return;
    for (const row of rows) {
      if (row.shard !== 0) deps.index.holds.noteShard(chain, row.shard);
      if (row.kind !== EntryKind.record && row.kind !== EntryKind.recordCheckpoint) continue;
      const entry = read(row);
      if (entry === undefined) continue;
      if (row.kind === EntryKind.record) applyRecord(row, entry, deps);
      else applyCheckpoint(row, entry, deps);
    }
    after = rows.at(-1)!.seq;
  }
}

const NONE: ReadonlyMap<number, Uint8Array | undefined> = new Map();

/** At most `limit` of the first waiting entries, as far as their bodies are here. Answers how many were applied. */
function applyFirst(
  chain: number,
  shard: number,
  given: ReadonlyMap<number, Uint8Array | undefined>,
  missing: MissingReason,
  deps: ApplyDeps,
  limit: number,
): number {
  const { chainTable } = deps.index;
  let applied = 0;
  for (const row of chainTable.waiting(chain, shard, limit)) {
    const body = given.get(row.seq) ?? bodyOf(row, deps);
    if (body === undefined) break;
    applyBody(row, body, missing, deps);
    chainTable.setWaits(chain, row.seq, false);
    applied++;
  }
  return applied;
}

export function applyBody(
  { chain, shard, seq, kind }: EntryRow,
  body: Uint8Array,
  missing: MissingReason,
  deps: ApplyDeps,
): void {
  const { holds } = deps.index;
  try {
    if (kind === EntryKind.add) holds.applyAdd(chain, shard, seq, decodeAdd(body), missing);
    else if (kind === EntryKind.release) holds.applyRelease(chain, shard, decodeRelease(body));
  } catch (error) {
    // Signed, but of no meaning: it changes nothing at any store.
    if (!isEdgeError(error, 'E_FORMAT')) throw error;
    deps.onProblem(error);
  }
}

/** A whole body as it lies in the file, compared with its header; undefined where it is not here or damaged. */
function bodyOf(row: EntryRow, deps: ApplyDeps): Uint8Array | undefined {
  const place = deps.index.chainTable.placeOf(row);
  if (place === undefined) return undefined;
  try {
    const body = deps.bodies.read(place, 0, place.bytes);
    const at = { ...place, isLate: false, at: row.offset, bytes: row.itemEnd - row.offset };
    requireBody(decodeHead(deps.bodies.read(at, 4, 203)), body);
    return body;
  } catch (error) {
    if (!isEdgeError(error, 'E_INTEGRITY', 'E_FORMAT')) throw error;
    deps.onProblem(error);
    deps.index.chainTable.dropBody(row.chain, row.seq);
    return undefined;
  }
}

function applyRecord(row: EntryRow, entry: PlacedEntry, deps: ApplyDeps): void {
  try {
    const body = deps.openRecord(entry);
    if (body !== undefined) deps.index.log.applyRecord(row, body);
  } catch (error) {
    if (!isEdgeError(error, ...UNUSABLE)) throw error;
    deps.onProblem(error);
  }
}

/**
 * What a checkpoint says beyond the records that are here: snapshots whose own entries are gone, with their marks. A part says nothing that the records
 * before it did not, so parts are applied one by one.
 */
function applyCheckpoint(row: EntryRow, entry: PlacedEntry, deps: ApplyDeps): void {
  const { log } = deps.index;
  try {
    const part = deps.openCheckpoint(entry);
    for (const { id: link, incarnation, seq, shard, damaged, body } of part?.snapshots ?? []) {
      const place = { chain: row.chain, incarnation, seq, shard, link };
      log.applyRecord(place, body);
      if (damaged) log.applyRecord(place, { type: 'damaged', snapshots: [link] });
    }
    for (const { snapshot, reason } of part?.pins ?? []) log.applyRecord(row, { type: 'pin', snapshot, reason });
    if (part?.settings !== undefined) log.applyRecord(row, { type: 'settings', settings: part.settings });
  } catch (error) {
    if (!isEdgeError(error, ...UNUSABLE)) throw error;
    deps.onProblem(error);
  }
}

/** A branch ends by an entry that names its tip (docs/chain.md 9.3). */
function dropBranches(chain: number, tip: string, deps: ApplyDeps): ChainRow[] {
  const { chainTable } = deps.index;
  const { agent } = chainTable.row(chain);
  const named = chainTable
    .rows()
    .filter((row) => row.agent === agent && row.parent !== undefined && row.position?.link === tip);
  // What hangs on another branch needs its entries.
  const dropped = named.filter((row) => !chainTable.rows().some(({ parent }) => parent === row.chain));
  for (const row of dropped) chainTable.clear(row.chain);
  return dropped;
}
