/** Decides what a restore does, without changing anything. */

import { resolvePath } from '../browse/resolve-path.ts';
import { openTreeReader, type TreeReader } from '../browse/tree-reader.ts';
import { EdgeError } from '../core/errors.ts';
import { escapeName } from '../policy/escape-name.ts';
import { createPathFilter, type PathFilter } from '../policy/path-filter.ts';
import type { Entry } from '../tree/entry.ts';
import { estimateRestore } from './estimate-restore.ts';
import { chosenSources } from './restore-run.ts';
import type { RestoreDeps, RestoreInput, RestorePlan } from './restore-types.ts';
import { planTarget, splitTarget } from './target-rules.ts';

/**
 * The plan, with an estimate when asked for. Throws E_NOT_FOUND for a subpath that is not there, E_INTEGRITY when the top of the tree itself
 * cannot be read (E_FORMAT when it is not a tree), E_TARGET_NOT_EMPTY and E_USAGE for targets that are refused.
 */
export async function planRestore(input: RestoreInput, deps: RestoreDeps): Promise<RestorePlan> {
  if (input.from !== undefined && input.from !== 'auto' && chosenSources(deps.sources, input.from).length === 0) {
    throw new EdgeError('E_USAGE', `there is nothing to read from with --from ${input.from}`, {
      hint: 'Use --from auto, or configure such a source.',
    });
  }
  const reader = readerFor(input, deps);
  const { path, entry } = await resolvePath(reader, input.body.entry, input.subpath ?? new Uint8Array(0), deps.signal);
  if (entry.type === 'dir') {
    await readTop(reader, entry, deps.signal);
    const target = await planTarget(input, deps.keepOut);
    const filter = filterOf(input);
    const whole = path.length === 0 && filter === undefined;
    const { stats } = input.body;
    const totals = whole ? { files: stats.files + stats.others, bytes: stats.bytes } : undefined;
    return withEstimate(
      { input, top: entry, topHasMeta: true, single: undefined, filter, target, totals, estimate: undefined },
      deps,
    );
  }

  // One thing that is no folder: it gets a folder around it, which has no metadata of its own.
  const asked = splitTarget(input.target);
  const name =
    input.inPlace !== undefined ? asked.name : path.length === 0 ? splitTarget(input.body.path).name : entry.name;
  if (name.length === 0) throw new EdgeError('E_USAGE', `not a name for a file: ${escapeName(input.target)}`);
  const target = await planTarget(
    input.inPlace === undefined ? input : { ...input, target: asked.parent },
    deps.keepOut,
  );
  const single: Entry = { ...entry, name: Uint8Array.from(name) };
  const top: Entry = { name: new Uint8Array(0), type: 'dir', mtimeNs: 0n, posix: { mode: 0o755, uid: 0, gid: 0 } };
  const totals = { files: 1, bytes: entry.size ?? 0 };
  return withEstimate(
    { input, top, topHasMeta: false, single, filter: undefined, target, totals, estimate: undefined },
    deps,
  );
}

function filterOf({ include = [], exclude = [] }: RestoreInput): PathFilter | undefined {
  return include.length === 0 && exclude.length === 0 ? undefined : createPathFilter(include, exclude);
}

/**
 * The reader of the sources that the input allows: the same one for planning and applying with the same dependencies, so that a source which is
 * out of reach is found out, and said, once.
 */
export function readerFor(input: RestoreInput, deps: RestoreDeps): TreeReader {
  const from = input.from ?? 'auto';
  const known = readers.get(deps);
  if (known?.from === from) return known.reader;
  const { opener, warn, onBadCopy } = deps;
  const reader = openTreeReader({ sources: chosenSources(deps.sources, from), opener, warn, onBadCopy });
  readers.set(deps, { from, reader });
  return reader;
}

const readers = new WeakMap<RestoreDeps, { readonly from: string; readonly reader: TreeReader }>();

/** A snapshot whose first page is lost is lost as a whole; that is said before anything is made. */
async function readTop(reader: TreeReader, entry: Entry, signal: AbortSignal | undefined): Promise<void> {
  const first = entry.pages?.[0];
  if (first === undefined) return;
  const [page] = await reader.pages([first], signal);
  if (page instanceof Error) throw page;
}

async function withEstimate(plan: RestorePlan, deps: RestoreDeps): Promise<RestorePlan> {
  if (plan.input.estimate !== true) return plan;
  const estimate = await estimateRestore(plan, deps);
  return { ...plan, estimate, totals: { files: estimate.files, bytes: estimate.bytes } };
}
