/** `SNAPSHOT[:PATH]` as typed: an id, the beginning of one, or `latest`. */
import { EdgeError, formatTimeNs, parseTime, type SnapshotRow, unescapeName } from '@edgestore/engine';
import { z } from 'zod';
import type { Opened } from './opened.ts';

/** The flags that say which snapshot `latest` is. */
export const snapshotFlags = {
  root: z.string().optional(),
  agent: z.string().optional(),
  at: z.string().optional(),
};

export interface SnapshotSpec {
  readonly snapshot: string;
  readonly root?: string | undefined;
  readonly agent?: string | undefined;
  readonly at?: string | undefined;
}

/** What a spec came to, for the output: ids are given in full. */
export interface ResolvedSnapshot {
  readonly snapshot: string;
  readonly root: string;
  readonly agent: string;
  /** RFC 3339. */
  readonly time: string;
}

/** Splits at the first colon. The path is empty when there is none. */
export function splitSpec(spec: string): { readonly snapshot: string; readonly path: Uint8Array } {
  const colon = spec.indexOf(':');
  return colon === -1
    ? { snapshot: spec, path: new Uint8Array() }
    : { snapshot: spec.slice(0, colon), path: unescapeName(spec.slice(colon + 1)) };
}

/** E_NOT_FOUND, or E_AMBIGUOUS with the candidates. */
export function findSnapshot(spec: SnapshotSpec, opened: Opened): SnapshotRow {
  const { engine } = opened;
  const agent = spec.agent === undefined ? undefined : findAgent(spec.agent, opened);
  if (spec.snapshot === 'latest') return latest(spec, agent ?? engine.identity.agentId, opened);
  if (spec.at !== undefined) throw new EdgeError('E_USAGE', '--at goes with `latest` only');
  if (!/^[0-9a-f]{1,64}$/i.test(spec.snapshot)) {
    throw new EdgeError(
      'E_NOT_FOUND',
      `${JSON.stringify(spec.snapshot)} is no snapshot: an id, the beginning of one, or \`latest\``,
      {
        hint: 'See: edgestore snapshot list',
      },
    );
  }
  const all = engine.index.log.findSnapshots(spec.snapshot);
  const found = all.filter(
    (row) => (agent === undefined || row.agent === agent) && (spec.root === undefined || row.body.root === spec.root),
  );
  const [first] = found;
  const [other] = all;
  if (first === undefined && other !== undefined) {
    const whose = opened.nameOf(other.agent) ?? other.agent.slice(0, 8);
    throw new EdgeError('E_NOT_FOUND', `snapshot ${other.id.slice(0, 8)} is of root ${other.body.root} of ${whose}`, {
      hint: 'Leave --root and --agent out: an id needs neither.',
    });
  }
  if (first === undefined) {
    throw new EdgeError('E_NOT_FOUND', `no snapshot begins with ${spec.snapshot}`, {
      hint: 'See: edgestore snapshot list --agent all',
    });
  }
  if (found.length === 1) return first;
  throw new EdgeError(
    'E_AMBIGUOUS',
    `${found.length} snapshots begin with ${spec.snapshot}: ${found.slice(0, 8).map(shown).join(', ')}`,
    {
      hint: found.every(({ id }) => id === first.id) ? 'Say whose: --agent NAME.' : 'Give more of the id.',
      context: { candidates: found.map((row) => row.id) },
    },
  );
}

export function resolved(row: SnapshotRow): ResolvedSnapshot {
  return { snapshot: row.id, root: row.body.root, agent: row.agent, time: formatTimeNs(row.body.timeNs) };
}

/** An agent by name, or by its id or the beginning of it. E_NOT_FOUND, E_AMBIGUOUS. */
export function findAgent(typed: string, { engine: { identity }, members }: Opened): string {
  const all = [
    { agent: identity.agentId, name: identity.name },
    ...members.map(({ agent, name }) => ({ agent, name })),
  ];
  const named = all.filter((one) => one.name === typed);
  const found =
    named.length > 0 ? named : all.filter((one) => /^[0-9a-f]+$/.test(typed) && one.agent.startsWith(typed));
  const [first] = found;
  if (first === undefined) {
    throw new EdgeError('E_NOT_FOUND', `no agent of the vault is called ${JSON.stringify(typed)}`, {
      hint: `Known: ${all.map((one) => one.name).join(', ')}`,
    });
  }
  if (found.length === 1) return first.agent;
  throw new EdgeError(
    'E_AMBIGUOUS',
    `${found.length} agents are meant by ${typed}: ${found.map((one) => `${one.name} ${one.agent.slice(0, 8)}`).join(', ')}`,
  );
}

/** E_NOT_FOUND when no root is called that: neither one of the configuration nor one that has snapshots. `agent` undefined: of any agent. */
export function requireKnownRoot(root: string, agent: string | undefined, { engine, loaded }: Opened): void {
  const rows = engine.index.log.snapshots({ ...(agent === undefined ? {} : { agent }), includeForgotten: true });
  const known = new Set([...rows.map((row) => row.body.root), ...loaded.config.roots.map((one) => one.name)]);
  if (known.has(root)) return;
  throw new EdgeError('E_NOT_FOUND', `there is no root ${JSON.stringify(root)}`, {
    hint: known.size === 0 ? 'There are none yet: edgestore root add PATH' : `Roots: ${[...known].sort().join(', ')}`,
  });
}

function latest({ root, at }: SnapshotSpec, agent: string, opened: Opened): SnapshotRow {
  const { engine } = opened;
  const untilNs = at === undefined ? undefined : parseTime(at, engine.clock.nowNs());
  const all = engine.index.log.snapshots({ agent }).filter((row) => !row.branch);
  const rows = all.filter(
    (row) => (root === undefined || row.body.root === root) && (untilNs === undefined || row.body.timeNs <= untilNs),
  );
  const roots = [...new Set(rows.map((row) => row.body.root))].sort();
  if (roots.length > 1) {
    throw new EdgeError('E_AMBIGUOUS', `\`latest\` of which root? ${roots.join(', ')}`, {
      hint: 'Say it with --root NAME.',
      context: { roots },
    });
  }
  const last = rows.at(-1);
  if (last !== undefined) return last;
  const known = [...new Set(all.map((row) => row.body.root))].sort();
  const of = root === undefined ? '' : ` of root ${JSON.stringify(root)}`;
  const before = at === undefined ? '' : ` at or before ${at}`;
  throw new EdgeError('E_NOT_FOUND', `there is no snapshot${of}${before}`, {
    hint: known.length === 0 ? hintWithoutOwn(opened) : `Roots with snapshots: ${known.join(', ')}`,
  });
}

function shown(row: SnapshotRow): string {
  return `${row.id.slice(0, 12)} (${row.body.root}, ${formatTimeNs(row.body.timeNs)})`;
}

/** A machine that was recovered to read only, or just joined, has none of its own. */
function hintWithoutOwn({ engine, nameOf }: Opened): string {
  const agents = new Set(engine.index.log.snapshots().map((row) => row.agent));
  if (agents.size === 0) return 'Nothing was captured yet: edgestore sync';
  const names = [...agents].map((agent) => nameOf(agent) ?? agent.slice(0, 8));
  return `Agents with snapshots: ${names.join(', ')}; say which with --agent NAME.`;
}
