/** `restore`, and its estimate. */
import {
  applyRestore,
  compileGlob,
  EdgeError,
  escapeName,
  jsonPath,
  parseDurationMs,
  planRestore,
  type RestoreDeps,
  type RestoreInput,
  type RestorePlan,
  restoreExitCode,
  type SnapshotRow,
  unescapeName,
} from '@edgestore/engine';
import { z } from 'zod';
import { type Opened, openedOf } from './opened.ts';
import { defineOperation, type OperationContext } from './operation.ts';
import { noteBadCopy } from './reader-deps.ts';
import { ruleFor } from './root-check-ignore.ts';
import { findSnapshot, type ResolvedSnapshot, resolved, snapshotFlags, splitSpec } from './snapshot-spec.ts';

export interface RestoreFailureData {
  readonly path: string;
  readonly path_b64?: string;
  readonly code: string;
  readonly message: string;
}

export interface RestoreData extends ResolvedSnapshot {
  readonly target: string;
  /** Only said, not done. */
  readonly estimate: boolean;
  readonly files: { readonly restored: number; readonly skipped: number; readonly failed: number };
  readonly bytes: {
    readonly written: number;
    readonly from: { readonly local: number; readonly peers: number; readonly s3: number };
  };
  readonly failures: readonly RestoreFailureData[];
  readonly failures_omitted: number;
  /** With `--delete`: what was removed. */
  readonly removed: number;
  /** Archived chunks that are being brought to where they can be read. */
  readonly pending_thaw: number;
  readonly duration_s: number;
}

const input = z.object({
  snapshot: z.string(),
  target: z.string().optional(),
  inPlace: z.boolean().default(false),
  overwrite: z.enum(['never', 'if-changed', 'if-newer', 'always']).optional(),
  delete: z.boolean().default(false),
  ...snapshotFlags,
  include: z.array(z.string()).default([]),
  exclude: z.array(z.string()).default([]),
  from: z.enum(['auto', 'local', 'peers', 's3']).default('auto'),
  estimate: z.boolean().default(false),
  waitThaw: z.string().transform(parseDurationMs).optional(),
});
type Input = z.output<typeof input>;

export const restore = defineOperation<Input, RestoreData>({
  name: 'restore',
  input: input as unknown as z.ZodType<Input>,
  mutates: true,
  onlyReads: true,
  run: async (given, context) => {
    const opened = openedOf(context);
    if (given.waitThaw !== undefined) {
      context.warn({
        code: 'W_NO_THAW',
        message: '--wait-thaw changes nothing: this version stores nothing in archive classes and asks for no thaw',
      });
    }
    const spec = splitSpec(given.snapshot);
    const row = findSnapshot({ ...given, snapshot: spec.snapshot }, opened);
    const deps = depsOf(opened, context);
    for (const pattern of [...given.include, ...given.exclude]) compileGlob(pattern);
    const plan = await planRestore(inputOf(given, row, spec.path, opened), deps);
    if (given.estimate) return { data: estimateData(plan, row) };
    const taken = { any: false };
    const report = await applyRestore(noting(plan, taken), deps);
    // Where a part of the tree could not be read, what was asked for may lie there.
    const isWholeLook = report.failures.length === 0;
    if (given.include.length > 0 && plan.filter !== undefined && !taken.any && isWholeLook) {
      throw new EdgeError('E_NOT_FOUND', `nothing in the snapshot matches --include ${given.include.join(' or ')}`, {
        hint: `Nothing was restored. See what is there: edgestore ls ${given.snapshot} --recursive`,
      });
    }
    const data: RestoreData = {
      ...resolved(row),
      target: escapeName(report.target),
      estimate: false,
      files: report.files,
      bytes: report.bytes,
      failures: report.failures.map(({ path, code, message }) => ({ ...jsonPath(path), code, message })),
      failures_omitted: report.failuresOmitted,
      removed: report.removed,
      pending_thaw: 0,
      duration_s: Math.round(report.durationS * 1000) / 1000,
    };
    return { data, exitCode: restoreExitCode(report.failures) };
  },
});

/** The same plan; says in `taken` whether anything was asked for that is there. */
function noting(plan: RestorePlan, taken: { any: boolean }): RestorePlan {
  const { filter } = plan;
  if (filter === undefined) return plan;
  return {
    ...plan,
    filter: (path, isFolder) => {
      const answer = filter(path, isFolder);
      taken.any ||= answer === 'take';
      return answer;
    },
  };
}

function inputOf(given: Input, row: SnapshotRow, subpath: Uint8Array, opened: Opened): RestoreInput {
  const common = {
    snapshot: row.id,
    body: row.body,
    subpath,
    include: given.include,
    exclude: given.exclude,
    from: given.from,
    estimate: given.estimate,
  };
  if (given.inPlace) {
    if (given.target !== undefined) throw new EdgeError('E_USAGE', '--target and --in-place exclude each other');
    if (given.overwrite === undefined)
      throw new EdgeError('E_USAGE', '--in-place needs --overwrite never|if-changed|if-newer|always');
    const inPlace = { overwrite: given.overwrite, delete: given.delete };
    return { ...common, target: placeOf(row, subpath), inPlace, protect: ignoredBy(row, subpath, opened) };
  }
  if (given.target === undefined) {
    // An estimate needs no target; what it would write is the same anywhere.
    if (!given.estimate) throw new EdgeError('E_USAGE', 'where to? Give --target DIR, or --in-place --overwrite MODE');
    return { ...common, target: Buffer.from(`${opened.engine.dataDir.path}-estimate-of-a-restore`) };
  }
  if (given.overwrite !== undefined || given.delete)
    throw new EdgeError('E_USAGE', '--overwrite and --delete go with --in-place');
  return { ...common, target: unescapeName(given.target) };
}

/** With `--delete`: what the root's rules leave out of every snapshot is no extra because of that. */
function ignoredBy({ body }: SnapshotRow, subpath: Uint8Array, { loaded }: Opened): (path: Uint8Array) => boolean {
  const exclude = loaded.config.roots.find((root) => root.name === body.root)?.exclude ?? [];
  const start = subpath.length === 0 ? [] : [Buffer.from(subpath), Buffer.from('/')];
  return (path) => ruleFor(Buffer.from(body.path), Buffer.concat([...start, path]), exclude) !== null;
}

/** Where the path of the snapshot was when it was captured. */
function placeOf({ body }: SnapshotRow, subpath: Uint8Array): Uint8Array {
  return subpath.length === 0 ? body.path : Buffer.concat([body.path, Buffer.from('/'), subpath]);
}

function depsOf({ engine, sources }: Opened, context: OperationContext): RestoreDeps {
  return {
    sources,
    opener: engine.opener,
    pool: engine.pool,
    warn: context.warn,
    progress: context.progress,
    signal: context.signal,
    onBadCopy: (bad) => noteBadCopy(bad, engine),
    keepOut: [engine.dataDir.path, engine.dataDir.packDir],
    monotonicMs: () => engine.clock.monotonicMs(),
  };
}

function estimateData({ estimate, target }: RestorePlan, row: SnapshotRow): RestoreData {
  if (estimate === undefined) throw new EdgeError('E_FAILED', 'the restore was not estimated');
  return {
    ...resolved(row),
    target: escapeName(target.target),
    estimate: true,
    files: { restored: estimate.files, skipped: 0, failed: 0 },
    bytes: { written: estimate.bytes, from: estimate.bytesFrom },
    failures: estimate.missingFiles.map((path) => ({
      ...jsonPath(path),
      code: 'E_INTEGRITY',
      message: 'no source has all of its chunks',
    })),
    failures_omitted: 0,
    removed: 0,
    pending_thaw: 0,
    duration_s: 0,
  };
}
