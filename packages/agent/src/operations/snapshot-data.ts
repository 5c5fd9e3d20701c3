/** What the `snapshot` commands answer. */
import { type Engine, escapeName, formatTimeNs, type SnapshotRow } from '@edgestore/engine';
import type { Opened } from './opened.ts';

export interface SnapshotData {
  readonly id: string;
  readonly root: string;
  /** The root's path, as text (`\xNN` for what is none). */
  readonly path: string;
  readonly agent: string;
  readonly agent_name: string | null;
  readonly incarnation: number;
  readonly seq: number;
  readonly time: string;
  readonly files: number;
  readonly dirs: number;
  readonly others: number;
  readonly bytes: number;
  readonly new_bytes: number;
  readonly stored_bytes: number;
  readonly failed: number;
  readonly parent: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** The reason, or null when it is not pinned. */
  readonly pinned: string | null;
  readonly unfinished: boolean;
  readonly forgotten: boolean;
  /** Of an older life of the agent, beyond what its successor took over. */
  readonly branch: boolean;
  /**
   * It counts at no level, for ever: chunks of it were given up, or its entry lay behind damage of the chain. Its files
   * can still be restored.
   */
  readonly damaged: boolean;
  /**
   * Of another agent: chunks that were held with it or before it and are not here. 0: whole here. Null for own ones and
   * branches, whose chunks may be elsewhere on purpose.
   */
  readonly lacks: number | null;
  readonly program: string;
}

export interface SnapshotListData {
  readonly snapshots: readonly SnapshotData[];
}

export interface SnapshotCopy {
  /** An agent's name, or `store:<name>`. */
  readonly target: string;
  readonly site: string | null;
  readonly complete: boolean;
}

export interface SnapshotShowData {
  readonly snapshot: SnapshotData & { readonly copies: readonly SnapshotCopy[] };
}

export interface PinData {
  readonly snapshot: string;
  readonly pinned: boolean;
  readonly reason: string | null;
  readonly changed: boolean;
  readonly dry_run: boolean;
}

export function snapshotData(
  row: SnapshotRow,
  { nameOf, engine, isReader }: Pick<Opened, 'nameOf' | 'engine' | 'isReader'>,
): SnapshotData {
  const { body } = row;
  return {
    id: row.id,
    root: body.root,
    path: escapeName(body.path),
    agent: row.agent,
    agent_name: nameOf(row.agent) ?? null,
    incarnation: row.incarnation,
    seq: row.seq,
    time: formatTimeNs(body.timeNs),
    files: body.stats.files,
    dirs: body.stats.dirs,
    others: body.stats.others,
    bytes: body.stats.bytes,
    new_bytes: body.stats.newBytes,
    stored_bytes: body.stats.storedBytes,
    failed: body.failed,
    parent: body.parent ?? null,
    tags: body.tags ?? {},
    pinned: row.pinned ?? null,
    unfinished: body.unfinished === true,
    forgotten: row.forgotten,
    branch: row.branch,
    damaged: row.damaged,
    lacks: isReader ? null : lacksOf(row, engine),
    program: body.program,
  };
}

const ENTRIES_AT_ONCE = 256;

/**
 * docs/chain.md 3.6: whole up to the first chunk that is not here; what is not here and was added up to the snapshot
 * counts against it.
 */
function lacksOf(row: SnapshotRow, { chains, identity }: Pick<Engine, 'chains' | 'identity'>): number | null {
  if (row.agent === identity.agentId || row.branch) return null;
  const shard = chains.shards(row.agent).find((one) => one.shard === row.shard);
  if (shard === undefined || row.seq <= shard.whole) return 0;
  let lacks = 0;
  for (let after = 0; ; ) {
    const page = chains.unsatisfied(row.agent, row.shard, after, ENTRIES_AT_ONCE);
    for (const { seq, positions } of page) if (seq <= row.seq) lacks += positions.length;
    const last = page.at(-1)?.seq;
    if (last === undefined || last >= row.seq) return lacks;
    after = last;
  }
}
