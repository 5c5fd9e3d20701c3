/** `sync`: captures roots now, and waits for the safety that was asked for. */
import {
  type CaptureReport,
  capture,
  EdgeError,
  formatDurabilityLevel,
  isEdgeError,
  jsonPath,
  type MaxDelete,
  parseDurabilityLevel,
  parseDurationMs,
  toEdgeError,
  unescapeName,
} from '@edgestore/engine';
import { z } from 'zod';
import type { RootConfig } from '../config/config.ts';
import { askColdStores } from '../home/ask-cold-stores.ts';
import { captureChunks } from '../home/capture-chunks.ts';
import { PROGRAM } from '../program.ts';
import { makeOwnCheckpoints } from '../work/keep-checkpoints.ts';
import { mendOwnTail } from './mend-own-tail.ts';
import { openedOf } from './opened.ts';
import { defineOperation, type OperationContext, type OperationOutcome } from './operation.ts';
import { parseMaxDelete } from './parse-max-delete.ts';
import { recordSettings } from './record-settings.ts';
import { rootsToSync } from './roots-to-sync.ts';
import { waitForCopies } from './wait-for-copies.ts';

export interface SyncFailure {
  readonly path: string;
  readonly path_b64?: string;
  readonly code: string;
  readonly message: string;
}

export interface SyncRootData {
  readonly root: string;
  readonly path: string;
  /** Null after a dry run, or when the root failed. */
  readonly snapshot: string | null;
  /** The tree is the same as the last snapshot's. */
  readonly unchanged: boolean;
  readonly files: Readonly<Record<'new' | 'changed' | 'unchanged' | 'removed' | 'failed', number>>;
  readonly bytes: Readonly<Record<'scanned' | 'read' | 'new' | 'stored', number>>;
  readonly chunks: Readonly<Record<'new' | 'reused', number>>;
  /** The level that is reached: `local`, or the one that was waited for. */
  readonly durability: string;
  /** Who has the snapshot with all it reaches, besides this agent, by their newest answers. */
  readonly copies: {
    readonly peers: readonly string[];
    readonly sites: readonly string[];
    readonly stores: readonly string[];
  };
  readonly failures: readonly SyncFailure[];
  /** Failures beyond those listed. */
  readonly failures_omitted: number;
  readonly duration_s: number;
  /** Why there is no snapshot of this root. */
  readonly error?: { readonly code: string; readonly message: string; readonly exit: number; readonly hint?: string };
}

export interface SyncData {
  readonly roots: readonly SyncRootData[];
  readonly dry_run: boolean;
}

/** Records hold texts of 4 KiB; said before anything is read. */
const TAG_LENGTH_MAX = 1000;
const TAGS_MAX = 64;

const input = z.object({
  /** Absolute, names escaped; none: every root. */
  paths: z.array(z.string()).default([]),
  wait: z.string().default('local').transform(parseDurabilityLevel),
  fullScan: z.boolean().default(false),
  maxDelete: z.string().transform(parseMaxDelete).optional(),
  tags: z
    .record(z.string(), z.string())
    .refine(
      (tags) => Object.entries(tags).every((tag) => tag.join('').length <= TAG_LENGTH_MAX),
      `--tag: a tag has at most ${TAG_LENGTH_MAX} characters`,
    )
    .refine((tags) => Object.keys(tags).length <= TAGS_MAX, `--tag: a snapshot has at most ${TAGS_MAX} tags`)
    .default({}),
  dryRun: z.boolean().default(false),
  /** Time for all of it; when it is over while copies are waited for, the outcome is that there are not enough. */
  timeout: z.string().transform(parseDurationMs).optional(),
});
type SyncInput = z.output<typeof input>;

export const sync = defineOperation<SyncInput, SyncData>({
  name: 'sync',
  input: input as unknown as z.ZodType<SyncInput>,
  mutates: true,
  run: (given, context) =>
    given.timeout === undefined
      ? syncRoots(given, context)
      : withTimeout(context, given.timeout, (timed) => syncRoots(given, timed)),
});

async function syncRoots(given: SyncInput, context: OperationContext): Promise<OperationOutcome<SyncData>> {
  if (!given.dryRun) await mendOwnTail(context.home, context);
  const roots = await rootsToSync(given.paths, given.dryRun, context);
  if (!given.dryRun) {
    await recordSettings(context.home);
    await askColdStores(context.home, context);
  }
  const captured: { root: RootConfig; report: CaptureReport | EdgeError }[] = [];
  for (const root of roots) captured.push({ root, report: await captureOne(root, given, context, roots.length > 1) });
  await mergeSmallPacks(context);
  const waited = await waitForCopies(
    captured.flatMap(({ report }) => (report instanceof EdgeError ? [] : [report])),
    given.wait,
    context,
  );
  const level = waited.exitCode === 0 ? formatDurabilityLevel(given.wait) : 'local';
  const data: SyncRootData[] = [];
  for (const { root, report } of captured) data.push(await rootData(root, report, level, context));
  if (given.wait.kind !== 'local' && !given.dryRun) await withdrawSlots(context);
  if (!given.dryRun) await makeCheckpoints(context);
  return { data: { roots: data, dry_run: given.dryRun }, exitCode: exitCodeOf(captured, waited.exitCode) };
}

async function withTimeout<T>(
  context: OperationContext,
  ms: number,
  work: (timed: OperationContext) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const error = new EdgeError('E_TIMEOUT', 'not done within the time of --timeout', {
    hint: 'Run the command again; it goes on where it stopped.',
  });
  const timer = setTimeout(() => late.abort(error), ms);
  try {
    return await work({ ...context, signal: AbortSignal.any([context.signal, late.signal]) });
  } catch (thrown) {
    throw late.signal.aborted && !context.signal.aborted && isEdgeError(thrown, 'E_INTERRUPTED') ? error : thrown;
  } finally {
    clearTimeout(timer);
  }
}

/** Each sync leaves a pack that is not full; many of them make every later read slower. What was captured is safe whether this works or not. */
async function mergeSmallPacks({ home, signal, warn }: OperationContext): Promise<void> {
  try {
    await home.engine.chunks.mergeSmallPacks(signal);
  } catch (error) {
    const known = toEdgeError(error, 'merging small packs');
    if (signal.aborted) throw known;
    warn({ code: 'W_MERGE_FAILED', message: `${known.message}; nothing was lost, the next sync tries again` });
  }
}

/** What was captured is safe without them: they are for stores that join later. */
async function makeCheckpoints({ home, signal, warn }: OperationContext): Promise<void> {
  try {
    const made = await makeOwnCheckpoints(home, signal);
    for (const { shard, difference } of made)
      if (difference !== undefined)
        warn({ code: 'W_CHECKPOINT', message: `shard ${shard} got no hold checkpoint: ${difference}` });
    if (made.length > 0) home.running?.noteNewWork();
  } catch (error) {
    const known = toEdgeError(error, 'making a hold checkpoint');
    // The time of --timeout is for copies, and what came of them is known by now.
    if (signal.aborted && isEdgeError(signal.reason, 'E_TIMEOUT')) return;
    if (signal.aborted) throw known;
    warn({ code: 'W_CHECKPOINT', message: `${known.message}; nothing was lost, the next sync tries again` });
  }
}

/** With several roots, one that fails does not stop the others. */
async function captureOne(
  root: RootConfig,
  given: SyncInput,
  context: OperationContext,
  goOn: boolean,
): Promise<CaptureReport | EdgeError> {
  const { engine, replicator } = openedOf(context);
  try {
    const report = await context.home.turns.run(`capture:${root.name}`, () =>
      capture(
        {
          root: {
            name: root.name,
            path: unescapeName(root.path),
            exclude: root.exclude,
            oneFileSystem: root.oneFileSystem,
          },
          fullScan: given.fullScan,
          dryRun: given.dryRun,
          program: PROGRAM,
          ...(Object.keys(given.tags).length > 0 ? { tags: given.tags } : {}),
          ...maxDeleteOf(given.maxDelete ?? root.maxDelete),
        },
        {
          ...engine,
          chunks: captureChunks(engine.chunks, context.home.sources),
          placed: replicator.placed,
          report: context.progress,
          warn: context.warn,
          signal: context.signal,
        },
      ),
    );
    if (report.snapshot !== undefined) {
      replicator.owe();
      context.home.running?.noteNewWork();
    }
    return report;
  } catch (error) {
    const known = toEdgeError(error, `syncing ${root.name}`);
    if (!goOn || context.signal.aborted || isEdgeError(known, 'E_INTERRUPTED', 'E_NO_SPACE')) throw error;
    return known;
  }
}

/** All may go when 100 % is allowed, also the last file. */
function maxDeleteOf(maxDelete: MaxDelete | undefined): { maxDelete?: MaxDelete; acceptEmpty?: boolean } {
  if (maxDelete === undefined) return {};
  return { maxDelete, acceptEmpty: (maxDelete.percent ?? 0) >= 100 };
}

async function rootData(
  root: RootConfig,
  report: CaptureReport | EdgeError,
  durability: string,
  context: OperationContext,
): Promise<SyncRootData> {
  if (report instanceof EdgeError) {
    const { code, message, exitCode, hint } = report;
    return {
      ...NOTHING,
      root: root.name,
      path: root.path,
      error: { code, message, exit: exitCode, ...(hint === undefined ? {} : { hint }) },
    };
  }
  const { engine, replicator } = openedOf(context);
  const row = report.snapshot === undefined ? undefined : engine.index.log.snapshot(report.snapshot);
  const copies = row === undefined ? undefined : await replicator.durability(row);
  return {
    root: root.name,
    path: root.path,
    snapshot: report.snapshot ?? null,
    unchanged: report.treeUnchanged,
    files: report.files,
    bytes: report.bytes,
    chunks: report.chunks,
    durability: report.snapshot === undefined ? 'none' : durability,
    copies: {
      peers: copies?.holders.map((peer) => peer.name) ?? [],
      sites: copies?.places ?? [],
      stores: copies?.stores ?? [],
    },
    failures: report.failures.map(({ path, code, message }) => ({ ...jsonPath(path), code, message })),
    failures_omitted: report.failuresOmitted,
    duration_s: Math.round(report.durationS * 1000) / 1000,
  };
}

const NOTHING = {
  snapshot: null,
  unchanged: false,
  files: { new: 0, changed: 0, unchanged: 0, removed: 0, failed: 0 },
  bytes: { scanned: 0, read: 0, new: 0, stored: 0 },
  chunks: { new: 0, reused: 0 },
  durability: 'none',
  copies: { peers: [], sites: [], stores: [] },
  failures: [],
  failures_omitted: 0,
  duration_s: 0,
};

/** The worst root's: one that failed over copies that are missing over files that could not be read. */
function exitCodeOf(captured: readonly { readonly report: CaptureReport | EdgeError }[], waited: number): number {
  const failed = captured.flatMap(({ report }) => (report instanceof EdgeError ? [report.exitCode] : []));
  if (failed.length > 0) return Math.max(...failed);
  if (waited !== 0) return waited;
  return captured.some(
    ({ report }) => !(report instanceof EdgeError) && report.failures.length + report.failuresOmitted > 0,
  )
    ? 3
    : 0;
}

/** Peers and buckets are being talked to anyway: those that were away when a key slot was removed are told now. */
async function withdrawSlots({ home, signal, warn }: OperationContext): Promise<void> {
  for (const { name, message } of (await home.withdrawSlots(signal)).pending)
    warn({ code: 'slots-not-withdrawn', message: `removed key slots can still be used at ${name}: ${message}` });
}
