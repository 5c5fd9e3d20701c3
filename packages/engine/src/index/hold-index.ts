/** Which owner holds which chunk here, as indexed from the hold logs. */
import { EdgeError } from '../core/errors.ts';
import { type AgentId, type ChunkId, fromHex, toHex } from '../core/ids.ts';
import type { HoldIndex } from '../core/ports/index.ts';
import type { Head } from '../log/record-body.ts';
import type { Db } from './database.ts';
import { HOLDS_INCOMPLETE } from './hold-lookup.ts';
import { keyValueTable } from './key-value.ts';
import { key48 } from './key48.ts';

export interface HoldEntry {
  readonly id: ChunkId;
  readonly sealedSha256: Uint8Array;
  readonly sealedBytes: number;
}

/** A batch as it lies in the hold log. */
export interface AppliedBatch {
  readonly owner: AgentId;
  readonly incarnation: number;
  readonly op: number;
  /** SHA-256 of the batch's bytes, hex. */
  readonly hash: string;
  readonly head: Head;
  readonly entries: readonly HoldEntry[];
  /** Length of the owner's hold log up to and with this batch. */
  readonly logBytes: number;
}

export interface OwnerState {
  readonly incarnation: number;
  readonly lastOp: number;
  /** The newest head that a batch showed; seq 0 when there was none. */
  readonly head: Head;
  readonly held: number;
  readonly logBytes: number;
}

export interface HoldIndexTable extends HoldIndex {
  /** One batch, its holds and the owner's state in one transaction. */
  applyBatch(batch: AppliedBatch): void;
  /** The hash of the batch applied under this number, or undefined. */
  batchHash(owner: AgentId, incarnation: number, op: number): string | undefined;
  ownerState(owner: AgentId): OwnerState | undefined;
  owners(): AgentId[];
  /** While set, every chunk counts as held. */
  setIncomplete(why: string | undefined): void;
  incomplete(): string | undefined;
}

export function holdIndex(db: Db): HoldIndexTable {
  const numberOf = db.prepare<[Uint8Array], number>('SELECT owner FROM owners WHERE agent = ?').pluck();
  const addOwner = db.prepare<[Uint8Array]>('INSERT INTO owners (agent) VALUES (?)');
  const state = db.prepare<[Uint8Array], RawOwner>('SELECT * FROM owners WHERE agent = ?');
  const owners = db.prepare<[], Buffer>('SELECT agent FROM owners ORDER BY agent').pluck();
  const find = db.prepare<[number, Uint8Array, number], { hold: number; sha256: Buffer }>(
    'SELECT hold, sha256 FROM holds WHERE key48 = ? AND id = ? AND owner = ?',
  );
  const add = db.prepare('INSERT INTO holds (key48, id, owner, sha256, sealed_bytes) VALUES (?, ?, ?, ?, ?)');
  const replace = db.prepare('UPDATE holds SET sha256 = ?, sealed_bytes = ? WHERE hold = ?');
  const count = db.prepare('UPDATE owners SET held = held + ? WHERE owner = ?');
  const witness = db.prepare(
    'UPDATE owners SET incarnation = ?, last_op = ?, head_seq = ?, head_hash = ? WHERE owner = ?',
  );
  const setLastOp = db.prepare('UPDATE owners SET last_op = max(last_op, ?) WHERE owner = ?');
  const setLogBytes = db.prepare('UPDATE owners SET log_bytes = max(log_bytes, ?) WHERE owner = ?');
  const addBatch = db.prepare('INSERT INTO hold_batches (owner, incarnation, op, hash) VALUES (?, ?, ?, ?)');
  const batchHash = db
    .prepare<[number, number, number], Buffer>(
      'SELECT hash FROM hold_batches WHERE owner = ? AND incarnation = ? AND op = ?',
    )
    .pluck();
  const holders = db
    .prepare<[number, Uint8Array], Buffer>(
      'SELECT o.agent FROM holds h JOIN owners o USING (owner) WHERE h.key48 = ? AND h.id = ? ORDER BY o.agent',
    )
    .pluck();
  const total = db.prepare<[], number>('SELECT coalesce(sum(held), 0) FROM owners').pluck();
  const facts = keyValueTable(db);
  const numberFor = (owner: AgentId): number => {
    const agent = fromHex(owner, 16);
    return numberOf.get(agent) ?? Number(addOwner.run(agent).lastInsertRowid);
  };
  const addHolds = (owner: AgentId, entries: readonly HoldEntry[], isNewest: boolean): number => {
    const number = numberFor(owner);
    let added = 0;
    for (const entry of entries) {
      const known = find.get(key48(entry.id), entry.id, number);
      if (known === undefined) {
        add.run(key48(entry.id), entry.id, number, entry.sealedSha256, entry.sealedBytes);
        added++;
      } else if (isNewest && !known.sha256.equals(entry.sealedSha256)) {
        // The owner sealed the chunk again; what it signed last is what it expects back.
        replace.run(entry.sealedSha256, entry.sealedBytes, known.hold);
      }
    }
    count.run(added, number);
    return number;
  };

  return {
    addHolds: (owner, op, entries) =>
      db.transaction(() => void setLastOp.run(op, addHolds(owner, entries, true))).immediate(),
    applyBatch: (batch) =>
      db
        .transaction(() => {
          const { owner, incarnation, op, head, logBytes } = batch;
          const known = state.get(fromHex(owner, 16));
          // A batch that was unreadable for a while comes after newer ones; it must not turn the owner's state back.
          const isNewest =
            known === undefined ||
            incarnation > known.incarnation ||
            (incarnation === known.incarnation && op > known.last_op);
          const number = addHolds(owner, batch.entries, isNewest);
          if (isNewest) witness.run(incarnation, op, head.seq, fromHex(head.hash, 32), number);
          setLogBytes.run(logBytes, number);
          addBatch.run(number, incarnation, op, fromHex(batch.hash, 32));
        })
        .immediate(),
    batchHash: (owner, incarnation, op) => {
      const number = numberOf.get(fromHex(owner, 16));
      const hash = number === undefined ? undefined : batchHash.get(number, incarnation, op);
      return hash === undefined ? undefined : toHex(hash);
    },
    heldSha256: db.transaction((owner: AgentId, ids: readonly ChunkId[]) => {
      const number = numberOf.get(fromHex(owner, 16));
      return ids.map((id) => (number === undefined ? undefined : find.get(key48(id), id, number)?.sha256));
    }),
    holdersOf: (id) => holders.all(key48(id), id).map(toHex),
    lastOp: (owner) => state.get(fromHex(owner, 16))?.last_op ?? 0,
    heldCount: (owner) => ({ chunks: owner === undefined ? total.get()! : (state.get(fromHex(owner, 16))?.held ?? 0) }),
    ownerState: (owner) => {
      const raw = state.get(fromHex(owner, 16));
      return raw === undefined ? undefined : toState(raw);
    },
    owners: () => owners.all().map(toHex),
    setIncomplete: (why) => (why === undefined ? facts.delete(HOLDS_INCOMPLETE) : facts.set(HOLDS_INCOMPLETE, why)),
    incomplete: () => facts.get(HOLDS_INCOMPLETE),
  };
}

interface RawOwner {
  readonly incarnation: number;
  readonly last_op: number;
  readonly head_seq: number;
  readonly head_hash: Buffer | null;
  readonly held: number;
  readonly log_bytes: number;
}

function toState(raw: RawOwner): OwnerState {
  return {
    incarnation: raw.incarnation,
    lastOp: raw.last_op,
    head: {
      incarnation: raw.incarnation,
      seq: raw.head_seq,
      hash: raw.head_hash === null ? '0'.repeat(64) : toHex(raw.head_hash),
    },
    held: raw.held,
    logBytes: raw.log_bytes,
  };
}

/** For callers that need to say so: a batch under a number that another batch has. */
export function replayError(owner: AgentId, incarnation: number, op: number): EdgeError {
  return new EdgeError(
    'E_ROLLBACK',
    `another hold batch ${incarnation}/${op} of agent ${owner.slice(0, 8)} was applied before`,
    {
      hint: 'The owner was restored from an old image: recover it, so that it gets a new incarnation.',
      context: { owner, incarnation, op },
    },
  );
}
