/** What the logs of all agents say, record by record, in a form that can be asked. */

import { EdgeError } from '../core/errors.ts';
import { type AgentId, fromHex, type RecordHash, toHex } from '../core/ids.ts';
import type { LogIndex, SnapshotRow } from '../core/ports/index.ts';
import { decodeBody, encodeBody } from '../log/body-encoding.ts';
import type { Head, RecordBody, RecordEnvelope, Settings, SnapshotBody } from '../log/record-body.ts';
import type { Db } from './database.ts';

/** Beyond the port: how records come in, and the newest settings. */
export interface LogIndexTable extends LogIndex {
  /**
   * Applies one record that is durable in the log. Records of an agent come in order; one that is known already changes nothing. `body` is undefined
   * where it cannot be opened (a blind holder). E_FORK when another record with the same (incarnation, seq) is known.
   */
  applyRecord(record: RecordEnvelope & { readonly hash: RecordHash }, body: RecordBody | undefined): void;
  headOf(agent: AgentId): Head | undefined;
  settingsOf(agent: AgentId): Settings | undefined;
}

interface RawSnapshot {
  readonly id: Buffer;
  readonly agent: Buffer;
  readonly incarnation: number;
  readonly seq: number;
  readonly root: string;
  readonly body: Buffer;
  readonly pinned: string | null;
  readonly forgotten: number;
  readonly branch: number;
}

/** Branch: a later takeover has a base that lies before the snapshot. */
const SNAPSHOTS = `
  SELECT s.id, s.agent, s.incarnation, s.seq, s.root, s.body, p.reason AS pinned, f.snapshot IS NOT NULL AS forgotten,
    EXISTS (SELECT 1 FROM takeovers t WHERE t.agent = s.agent AND t.incarnation > s.incarnation
      AND (s.incarnation, s.seq) > (t.base_incarnation, t.base_seq)) AS branch
  FROM snapshots s
  LEFT JOIN pins p ON p.agent = s.agent AND p.snapshot = s.id
  LEFT JOIN forgotten f ON f.agent = s.agent AND f.snapshot = s.id`;
const IN_ORDER = 'ORDER BY s.agent, s.incarnation, s.seq';

export function logIndex(db: Db): LogIndexTable {
  const all = db.prepare<[], RawSnapshot>(`${SNAPSHOTS} ${IN_ORDER}`);
  const ofAgent = db.prepare<[Uint8Array], RawSnapshot>(`${SNAPSHOTS} WHERE s.agent = ? ${IN_ORDER}`);
  const between = db.prepare<[Uint8Array, Uint8Array], RawSnapshot>(
    `${SNAPSHOTS} WHERE s.id BETWEEN ? AND ? ${IN_ORDER}`,
  );
  const heads = db.prepare<[], RawHead>(
    'SELECT agent, incarnation, seq, hash FROM records r WHERE (incarnation, seq) = (SELECT incarnation, seq FROM records WHERE agent = r.agent ORDER BY incarnation DESC, seq DESC LIMIT 1) ORDER BY agent',
  );
  const headOf = db.prepare<[Uint8Array], RawHead>(
    'SELECT agent, incarnation, seq, hash FROM records WHERE agent = ? ORDER BY incarnation DESC, seq DESC LIMIT 1',
  );
  const hashAt = db
    .prepare<[Uint8Array, number, number], Buffer>(
      'SELECT hash FROM records WHERE agent = ? AND incarnation = ? AND seq = ?',
    )
    .pluck();
  const addRecord = db.prepare('INSERT INTO records (agent, incarnation, seq, hash) VALUES (?, ?, ?, ?)');
  const settings = db.prepare<[Uint8Array], Buffer>('SELECT body FROM settings WHERE agent = ?').pluck();
  const apply = bodyApplier(db);

  return {
    snapshots: (filter = {}) => {
      const raw = filter.agent === undefined ? all.all() : ofAgent.all(fromHex(filter.agent, 16));
      const rows = raw.filter((row) => filter.root === undefined || row.root === filter.root);
      const live = filter.includeForgotten === true ? rows : rows.filter((row) => row.forgotten === 0);
      const shown = live.map(toSnapshot);
      return filter.includeForgotten === true ? shown : withoutReplaced(shown);
    },
    findSnapshots: (prefix) => {
      const hex = prefix.toLowerCase();
      if (!/^[0-9a-f]{1,64}$/.test(hex)) return [];
      return between.all(fromHex(hex.padEnd(64, '0'), 32), fromHex(hex.padEnd(64, 'f'), 32)).map(toSnapshot);
    },
    heads: () => heads.all().map((raw) => ({ agent: toHex(raw.agent), head: toHead(raw) })),
    headOf: (agent) => {
      const raw = headOf.get(fromHex(agent, 16));
      return raw === undefined ? undefined : toHead(raw);
    },
    settingsOf: (agent) => {
      const bytes = settings.get(fromHex(agent, 16));
      return bytes === undefined ? undefined : bodyOf(bytes, 'settings').settings;
    },
    applyRecord: (record, body) =>
      db
        .transaction(() => {
          const agent = fromHex(record.agent, 16);
          const known = hashAt.get(agent, record.incarnation, record.seq);
          if (known !== undefined) {
            if (toHex(known) === record.hash) return;
            throw forkError(record, toHex(known));
          }
          const head = headOf.get(agent);
          const isNewest = head === undefined || isAfter(record, head);
          addRecord.run(agent, record.incarnation, record.seq, fromHex(record.hash, 32));
          // Of what comes late (a branch of an older incarnation) only the snapshots count: its pins and forgets lost to the takeover.
          if (body !== undefined && (isNewest || body.type === 'snapshot')) apply(record, body);
        })
        .immediate(),
  };
}

/** Applies opened bodies to the tables that answer questions. */
function bodyApplier(db: Db): (record: RecordEnvelope & { readonly hash: RecordHash }, body: RecordBody) => void {
  const addSnapshot = db.prepare(
    'INSERT OR IGNORE INTO snapshots (id, agent, incarnation, seq, root, body) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const forget = db.prepare('INSERT OR IGNORE INTO forgotten (agent, snapshot) VALUES (?, ?)');
  const pin = db.prepare('INSERT OR REPLACE INTO pins (agent, snapshot, reason) VALUES (?, ?, ?)');
  const unpin = db.prepare('DELETE FROM pins WHERE agent = ? AND snapshot = ?');
  const unpinAll = db.prepare('DELETE FROM pins WHERE agent = ?');
  const takeover = db.prepare(
    'INSERT OR REPLACE INTO takeovers (agent, incarnation, base_incarnation, base_seq) VALUES (?, ?, ?, ?)',
  );
  const setSettings = db.prepare('INSERT OR REPLACE INTO settings (agent, body) VALUES (?, ?)');
  const coveredBy = db
    .prepare<[Uint8Array, number, number], Buffer>(
      'SELECT id FROM snapshots WHERE agent = ? AND (incarnation, seq) <= (?, ?)',
    )
    .pluck();

  return (record, body) => {
    const agent = fromHex(record.agent, 16);
    const snapshot = (id: RecordHash, incarnation: number, seq: number, value: SnapshotBody): void =>
      void addSnapshot.run(fromHex(id, 32), agent, incarnation, seq, value.root, encodeBody(value));
    switch (body.type) {
      case 'snapshot':
        return snapshot(record.hash, record.incarnation, record.seq, body);
      case 'forget':
        return void forget.run(agent, fromHex(body.snapshot, 32));
      case 'pin':
        return void pin.run(agent, fromHex(body.snapshot, 32), body.reason);
      case 'unpin':
        return void unpin.run(agent, fromHex(body.snapshot, 32));
      case 'settings':
        return void setSettings.run(agent, encodeBody(body));
      case 'takeover':
        return void takeover.run(agent, record.incarnation, body.base?.incarnation ?? 0, body.base?.seq ?? 0);
      case 'checkpoint': {
        const { head, snapshots, pins, settings } = body.checkpoint;
        const live = new Set(snapshots.map((one) => one.id));
        for (const one of snapshots) snapshot(one.id, one.incarnation, one.seq, one.body);
        // A branch is in no checkpoint, and a checkpoint does not forget it: it stays listed until someone does.
        for (const id of coveredBy.all(agent, head.incarnation, head.seq)) {
          if (!live.has(toHex(id)) && !isBranch(db, agent, id)) forget.run(agent, id);
        }
        unpinAll.run(agent);
        for (const one of pins) pin.run(agent, fromHex(one.snapshot, 32), one.reason);
        if (settings !== undefined) setSettings.run(agent, encodeBody({ type: 'settings', settings }));
        return;
      }
    }
  };
}

function isBranch(db: Db, agent: Uint8Array, id: Uint8Array): boolean {
  return (
    db
      .prepare<[Uint8Array, Uint8Array], number>(
        `SELECT EXISTS (SELECT 1 FROM snapshots s, takeovers t WHERE s.agent = ? AND s.id = ? AND t.agent = s.agent
        AND t.incarnation > s.incarnation AND (s.incarnation, s.seq) > (t.base_incarnation, t.base_seq))`,
      )
      .pluck()
      .get(agent, id) === 1
  );
}

/** A snapshot written in the middle of a long first sync goes when a later one of its root is there. */
function withoutReplaced(rows: readonly SnapshotRow[]): SnapshotRow[] {
  const later = new Set<string>();
  const kept: SnapshotRow[] = [];
  for (const row of rows.toReversed()) {
    const key = `${row.agent}/${row.incarnation}/${row.branch}/${row.body.root}`;
    if (row.body.unfinished !== true || !later.has(key) || row.pinned !== undefined) kept.push(row);
    later.add(key);
  }
  return kept.reverse();
}

interface RawHead {
  readonly agent: Buffer;
  readonly incarnation: number;
  readonly seq: number;
  readonly hash: Buffer;
}

function toHead(raw: RawHead): Head {
  return { incarnation: raw.incarnation, seq: raw.seq, hash: toHex(raw.hash) };
}

function isAfter(a: { incarnation: number; seq: number }, b: { incarnation: number; seq: number }): boolean {
  return a.incarnation > b.incarnation || (a.incarnation === b.incarnation && a.seq > b.seq);
}

function toSnapshot(raw: RawSnapshot): SnapshotRow {
  return {
    id: toHex(raw.id),
    agent: toHex(raw.agent),
    incarnation: raw.incarnation,
    seq: raw.seq,
    body: bodyOf(raw.body, 'snapshot'),
    pinned: raw.pinned ?? undefined,
    forgotten: raw.forgotten === 1,
    branch: raw.branch === 1,
  };
}

/** Bodies lie in the index in their own encoding; another type in their place is damage, which a rebuild mends. */
function bodyOf<Type extends RecordBody['type']>(bytes: Uint8Array, type: Type): Extract<RecordBody, { type: Type }> {
  const body = decodeBody(bytes);
  if (body.type !== type) throw new EdgeError('E_INTEGRITY', `the index has a ${body.type} where a ${type} belongs`);
  return body as Extract<RecordBody, { type: Type }>;
}

function forkError(record: RecordEnvelope & { readonly hash: RecordHash }, known: RecordHash): EdgeError {
  return new EdgeError(
    'E_FORK',
    `agent ${record.agent.slice(0, 8)} has two records ${record.incarnation}/${record.seq}: ${known.slice(0, 8)} and ${record.hash.slice(0, 8)}`,
    {
      hint: 'Two machines wrote with one identity (a copied data dir?). Stop one of them; nothing was taken over from the second.',
      context: { agent: record.agent, incarnation: record.incarnation, seq: record.seq, known, other: record.hash },
    },
  );
}
