/** What the records of all chains say, in a form that can be asked. Snapshots and the newest of a root are looked up, counts need no body (docs/formats/index.md). */
import type { Position } from '../chain/position.ts';
import { EdgeError } from '../core/errors.ts';
import { type AgentId, fromHex, toHex } from '../core/ids.ts';
import type { LogIndex, SnapshotFilter, SnapshotRow, SnapshotSummary } from '../core/ports/index.ts';
import type { RecordBody, Settings, SnapshotBody } from '../log/record-body.ts';
import { decodeRecordBody, encodeRecordBody } from '../log/record-encoding.ts';
import type { RecordPlace, RecordTable } from '../ports/chain-index.ts';
import type { Db } from './database.ts';

/** Beyond the port: how records come in. */
export interface LogIndexTable extends LogIndex, RecordTable {}

interface RawSummary {
  readonly id: Buffer;
  readonly agent: Buffer;
  readonly incarnation: number;
  readonly seq: number;
  readonly shard: number;
  readonly root: string;
  /** As text: nanoseconds do not fit a double. */
  readonly time_ns: string;
  readonly is_unfinished: number;
  readonly pinned: string | null;
  readonly forgotten: number;
  readonly is_damaged: number;
  readonly branch: number;
  readonly is_recorded: number;
}

interface RawSnapshot extends RawSummary {
  readonly body: Buffer;
}

const SUMMARY = `s.id, c.agent, s.incarnation, s.seq, s.shard, s.root, CAST(s.time_ns AS TEXT) AS time_ns, s.is_unfinished,
  p.reason AS pinned, f.snapshot IS NOT NULL AS forgotten, d.snapshot IS NOT NULL AS is_damaged, c.parent IS NOT NULL AS branch,
  EXISTS (SELECT 1 FROM entries e WHERE e.chain = s.chain AND e.seq = s.seq AND e.link = s.id) AS is_recorded`;
const FROM = `FROM snapshots s JOIN chains c USING (chain)
  LEFT JOIN pins p ON p.snapshot = s.id AND p.chain = s.chain
  LEFT JOIN forgotten f ON f.snapshot = s.id AND f.chain = s.chain
  LEFT JOIN damaged_snapshots d ON d.snapshot = s.id AND d.agent = s.agent`;
/** A snapshot from the middle of a long first sync goes when a later one of its root is there, unless it is pinned. */
const LIVE = `f.snapshot IS NULL AND NOT (s.is_unfinished = 1 AND p.reason IS NULL AND EXISTS (
  SELECT 1 FROM snapshots l WHERE l.chain = s.chain AND l.root = s.root AND (l.incarnation, l.seq) > (s.incarnation, s.seq)
    AND NOT EXISTS (SELECT 1 FROM forgotten lf WHERE lf.snapshot = l.id AND lf.chain = l.chain)))`;
/**
 * By seq alone it is no order: a checkpoint may have snapshots of an older incarnation from behind the base of the
 * newer one.
 */
const IN_ORDER = 'ORDER BY c.agent, c.parent IS NOT NULL, s.chain, s.incarnation, s.seq';

export function logIndex(db: Db): LogIndexTable {
  const byId = db.prepare<[Uint8Array], RawSnapshot>(
    `SELECT ${SUMMARY}, s.body ${FROM} WHERE s.id = ? ORDER BY is_recorded DESC, c.is_own DESC LIMIT 1`,
  );
  const between = db.prepare<[Uint8Array, Uint8Array], RawSnapshot>(
    `SELECT ${SUMMARY}, s.body ${FROM} WHERE s.id BETWEEN ? AND ? ${IN_ORDER}`,
  );
  const latest = db.prepare<[Uint8Array, string], RawSnapshot>(
    `SELECT ${SUMMARY}, s.body ${FROM} WHERE c.agent = ? AND c.parent IS NULL AND s.root = ? AND f.snapshot IS NULL
     ORDER BY s.incarnation DESC, s.seq DESC LIMIT 1`,
  );
  const latestPlaces = db.prepare<[Uint8Array], RawSummary>(
    `SELECT ${SUMMARY} ${FROM} WHERE c.agent = ? AND c.parent IS NULL AND f.snapshot IS NULL AND s.id = (
       SELECT l.id FROM snapshots l WHERE l.chain = s.chain AND l.root = s.root
         AND NOT EXISTS (SELECT 1 FROM forgotten lf WHERE lf.snapshot = l.id AND lf.chain = l.chain)
       ORDER BY l.incarnation DESC, l.seq DESC LIMIT 1) ORDER BY s.root`,
  );
  const settings = db
    .prepare<[Uint8Array], Buffer>(
      'SELECT t.body FROM settings t JOIN chains c USING (chain) WHERE c.agent = ? AND c.parent IS NULL',
    )
    .pluck();
  const positions = db.prepare<[], RawPosition>(
    'SELECT agent, incarnation, seq, link FROM chains WHERE parent IS NULL AND link IS NOT NULL ORDER BY agent',
  );
  const highestShard = db
    .prepare<[Uint8Array], number>(
      'SELECT coalesce(max(s.shard), 0) FROM shards s JOIN chains c USING (chain) WHERE c.agent = ?',
    )
    .pluck();
  const apply = recordApplier(db);

  const select = <Row>(columns: string, filter: SnapshotFilter): Row[] => {
    const { where, values } = whereOf(filter);
    const page = filter.limit === undefined ? '' : ` LIMIT ${Math.trunc(filter.limit)}`;
    return db.prepare<unknown[], Row>(`SELECT ${columns} ${FROM} ${where} ${IN_ORDER}${page}`).all(...values);
  };

  return {
    snapshots: (filter = {}) => select<RawSnapshot>(`${SUMMARY}, s.body`, filter).map(toSnapshot),
    summaries: (filter = {}) => select<RawSummary>(SUMMARY, filter).map(toSummary),
    countSnapshots: (filter = {}) => select<{ count: number }>('count(*) AS count', filter)[0]!.count,
    latestSnapshot: (agent, root) => {
      const raw = latest.get(fromHex(agent, 16), root);
      return raw === undefined ? undefined : toSnapshot(raw);
    },
    latestOfRoots: (agent) => latestPlaces.all(fromHex(agent, 16)).map(toSummary),
    snapshot: (id) => {
      const raw = byId.get(fromHex(id, 32));
      return raw === undefined ? undefined : toSnapshot(raw);
    },
    findSnapshots: (prefix) => {
      const hex = prefix.toLowerCase();
      if (!/^[0-9a-f]{1,64}$/.test(hex)) return [];
      const rows = between.all(fromHex(hex.padEnd(64, '0'), 32), fromHex(hex.padEnd(64, 'f'), 32));
      const recorded = new Set(rows.filter((row) => row.is_recorded === 1).map(({ id }) => toHex(id)));
      return rows.filter((row) => row.is_recorded === 1 || !recorded.has(toHex(row.id))).map(toSnapshot);
    },
    positions: () => positions.all().map((raw) => ({ agent: toHex(raw.agent), position: toPosition(raw) })),
    settingsOf: (agent): Settings | undefined => {
      const bytes = settings.get(fromHex(agent, 16));
      return bytes === undefined ? undefined : bodyOf(bytes, 'settings').settings;
    },
    highestShard: (agent) => {
      const known = settings.get(fromHex(agent, 16));
      const roots = known === undefined ? [] : bodyOf(known, 'settings').settings.roots;
      return Math.max(highestShard.get(fromHex(agent, 16))!, 0, ...roots.map(({ shard }) => shard));
    },
    applyRecord: apply,
    clearMarks: (chain) => {
      for (const table of ['pins', 'forgotten', 'settings'])
        db.prepare(`DELETE FROM ${table} WHERE chain = ?`).run(chain);
    },
  };
}

function whereOf(filter: SnapshotFilter): { where: string; values: unknown[] } {
  const terms: string[] = [];
  const values: unknown[] = [];
  const term = (text: string, ...given: unknown[]): void => {
    terms.push(text);
    values.push(...given);
  };
  if (filter.includeForgotten !== true) term(LIVE);
  if (filter.agent !== undefined) term('c.agent = ?', fromHex(filter.agent, 16));
  if (filter.root !== undefined) term('s.root = ?', filter.root);
  if (filter.damaged === true) term('d.snapshot IS NOT NULL');
  if (filter.onTrail === true) term('c.parent IS NULL');
  return { where: terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`, values };
}

/** Applies opened bodies to the tables that answer questions. */
function recordApplier(db: Db): (place: RecordPlace, body: RecordBody) => void {
  const addSnapshot = db.prepare(
    `INSERT OR IGNORE INTO snapshots (id, agent, chain, incarnation, seq, shard, root, time_ns, is_unfinished, body)
     SELECT ?, agent, chain, ?, ?, ?, ?, ?, ?, ? FROM chains WHERE chain = ?`,
  );
  const forget = db.prepare('INSERT OR IGNORE INTO forgotten (snapshot, chain) VALUES (?, ?)');
  const pin = db.prepare('INSERT OR REPLACE INTO pins (snapshot, chain, reason) VALUES (?, ?, ?)');
  const unpin = db.prepare('DELETE FROM pins WHERE snapshot = ? AND chain = ?');
  const damage = db.prepare(
    'INSERT OR IGNORE INTO damaged_snapshots (snapshot, agent) SELECT ?, agent FROM chains WHERE chain = ?',
  );
  const setSettings = db.prepare('INSERT OR REPLACE INTO settings (chain, seq, body) VALUES (?, ?, ?)');

  return ({ chain, incarnation, seq, shard, link }, body) => {
    switch (body.type) {
      case 'snapshot': {
        const { root, timeNs, unfinished } = body;
        const id = fromHex(link, 32);
        return void addSnapshot.run(
          id,
          incarnation,
          seq,
          shard,
          root,
          timeNs,
          Number(unfinished === true),
          encodeRecordBody(body),
          chain,
        );
      }
      case 'forget':
        return void forget.run(fromHex(body.snapshot, 32), chain);
      case 'pin':
        return void pin.run(fromHex(body.snapshot, 32), chain, body.reason);
      case 'unpin':
        return void unpin.run(fromHex(body.snapshot, 32), chain);
      case 'damaged':
        for (const snapshot of body.snapshots) damage.run(fromHex(snapshot, 32), chain);
        return;
      case 'settings':
        return void setSettings.run(chain, seq, encodeRecordBody(body));
    }
  };
}

interface RawPosition {
  readonly agent: Buffer;
  readonly incarnation: number;
  readonly seq: number;
  readonly link: Buffer;
}

function toPosition(raw: RawPosition): Position {
  return { incarnation: raw.incarnation, seq: raw.seq, link: toHex(raw.link) };
}

function toSummary(raw: RawSummary): SnapshotSummary {
  return {
    id: toHex(raw.id),
    agent: toHex(raw.agent) as AgentId,
    incarnation: raw.incarnation,
    seq: raw.seq,
    shard: raw.shard,
    root: raw.root,
    timeNs: BigInt(raw.time_ns),
    unfinished: raw.is_unfinished === 1,
    pinned: raw.pinned ?? undefined,
    forgotten: raw.forgotten === 1,
    damaged: raw.is_damaged === 1,
    branch: raw.branch === 1,
  };
}

function toSnapshot(raw: RawSnapshot): SnapshotRow {
  const { root: _root, timeNs: _timeNs, unfinished: _unfinished, ...place } = toSummary(raw);
  return { ...place, body: bodyOf(raw.body, 'snapshot') as SnapshotBody };
}

/** Bodies lie in the index in their own encoding; another type in their place is damage, which a rebuild mends. */
function bodyOf<Type extends RecordBody['type']>(bytes: Uint8Array, type: Type): Extract<RecordBody, { type: Type }> {
  const body = decodeRecordBody(bytes);
  if (body.type !== type) throw new EdgeError('E_INTEGRITY', `the index has a ${body.type} where a ${type} belongs`);
  return body as Extract<RecordBody, { type: Type }>;
}
