/** `scrub`: reads stored packs again and names what is damaged. */
import {
  EdgeError,
  jsonPath,
  openTreeReader,
  parsePercent,
  scrub as runScrub,
  type ScrubReport,
  type ScrubStore,
  toHex,
} from '@edgestore/engine';
import { z } from 'zod';
import { forgetUnwantedHere } from '../work/forget-unwanted-here.ts';
import { type Opened, openedOf } from './opened.ts';
import { defineOperation } from './operation.ts';
import { readerDeps } from './reader-deps.ts';
import { repairOwnLog, type ScrubbedLog } from './repair-own-log.ts';
import { listStores, scrubChains } from './scrub-chains.ts';
import { giveUpLost, NOTHING_GIVEN_UP, type ScrubGivenUp } from './scrub-give-up.ts';
import { scrubHolds } from './scrub-holds.ts';
import { scrubPlaces } from './scrub-places.ts';
import { scrubStoredChains } from './scrub-segments.ts';

export interface ScrubFindingData {
  /** `local`, or a store's name. */
  readonly store: string;
  readonly pack: string;
  readonly what: 'missing' | 'index' | 'chunk';
  readonly chunk: string | null;
  readonly message: string;
  readonly other_copies: number;
  readonly repaired: boolean;
}

/** What is held here for an owner in one of its shards, computed from its chain. */
export interface ScrubHolds {
  readonly agent: string;
  readonly name: string | null;
  readonly own: boolean;
  readonly shard: number;
  /** Chunks that the chain holds. */
  readonly held: number;
  /** Of these, chunks that were here and are gone, and chunks that cannot be read now. */
  readonly lost: number;
  readonly unreadable: number;
  /** Chunks of which the index says otherwise than chain and frames. */
  readonly wrong: number;
  /** The index has other counts than its rows, or rows of chunks that are not held. */
  readonly miscounted: boolean;
  /** The index was made again from the files, and agrees. */
  readonly repaired: boolean;
  /** What happens by itself, or what to do. */
  readonly next: string;
}

export interface ScrubData {
  readonly packs: { readonly total: number; readonly read: number };
  readonly chunks: number;
  readonly bytes: number;
  readonly findings: readonly ScrubFindingData[];
  /** Files that need a lost chunk (in no place), or a damaged one of which no copy is left in this agent's stores. */
  readonly files: readonly {
    readonly state: 'damaged' | 'lost';
    readonly snapshot: string;
    readonly root: string;
    readonly path: string;
    readonly path_b64?: string;
  }[];
  readonly files_omitted: number;
  /** With `--all`: chunks that live snapshots need and no place has; `complete` is false when the search ended at very many. */
  readonly lost: { readonly chunks: number; readonly complete: boolean };
  /** With `--all --repair`: what became of chunks that no place has. */
  readonly given_up: ScrubGivenUp;
  /** Chunks (and listings that could not be looked into) which `places`, not reachable now, may have. */
  readonly unknown: { readonly chunks: number; readonly unread: number; readonly places: readonly string[] };
  /** Stores that could not be read. */
  readonly unread: readonly { readonly store: string; readonly code: string; readonly message: string }[];
  readonly repaired: number;
  /** With `--all`: chains whose files are damaged, own or others'. `damaged` counts ranges that are left; `from` names who had what was missing. */
  readonly chains: readonly {
    readonly agent: string;
    readonly name: string | null;
    readonly own: boolean;
    readonly damaged: number;
    readonly repaired: number;
    readonly from: readonly string[];
    readonly messages: readonly string[];
  }[];
  /** With `--all`: shards in which the index says otherwise than chain and frames, and those of others that lack what was here. */
  readonly holds: readonly ScrubHolds[];
  /** Nothing was changed. */
  readonly dry_run: boolean;
  readonly duration_s: number;
  /** Present when the log of this agent was damaged: it was repaired, and nothing else was looked at. */
  readonly log?: ScrubbedLog;
}

const input = z.object({
  sample: z.string().default('5%').transform(fractionOf),
  all: z.boolean().default(false),
  repair: z.boolean().default(false),
  dryRun: z.boolean().default(false),
});
type Input = z.output<typeof input>;

export const scrub = defineOperation<Input, ScrubData>({
  name: 'scrub',
  input: input as unknown as z.ZodType<Input>,
  mutates: true,
  // A dry run ends like every other command where the log is damaged, which says what to do.
  repairsLog: (given) => given.repair && !given.dryRun,
  run: async (given, context) => {
    const opened = openedOf(context);
    const { engine } = opened;
    const repaired = given.repair && !given.dryRun ? await repairOwnLog(context) : undefined;
    // What was opened was the damaged log: packs are looked at by the next run.
    if (repaired !== undefined) return repaired;
    const chains = given.all
      ? await scrubChains({ repair: given.repair && !given.dryRun, notes: !given.dryRun }, context)
      : [];
    const unclear = given.all && !given.dryRun ? await listStores(context) : [];
    const reader = openTreeReader({
      ...readerDeps(opened, context),
      // What the reader meets is noted like the scrub's own findings, or not.
      ...(given.dryRun ? { onBadCopy: undefined } : {}),
    });
    const stored = given.all
      ? await scrubStoredChains({ repair: given.repair && !given.dryRun, notes: !given.dryRun }, context)
      : { chains: [], unread: [] };
    const report = await runScrub(
      { mode: given.all ? 'all' : { sample: given.sample }, repair: given.repair, dryRun: given.dryRun },
      {
        index: engine.index.chunks,
        log: engine.index.log,
        forgetUnwanted: () => forgetUnwantedHere(context.home),
        places: await scrubPlaces(opened, context.home, { asks: given.all, signal: context.signal }),
        chunks: engine.chunks,
        stores: [...context.home.stores.values()].map((store) => ({
          store: store.name,
          label: store.objects.label,
          requireIdentity: (signal) => store.requireIdentity(signal),
          readRange: (pack, range, signal) => store.packs.readRange(pack, range, signal),
          refill: refillOf(store.name, opened),
        })),
        pool: engine.pool,
        reader,
        random: engine.random,
        warn: context.warn,
        progress: context.progress,
        signal: context.signal,
        nowNs: () => engine.clock.nowNs(),
        monotonicMs: () => engine.clock.monotonicMs(),
      },
    );
    const isNeeded = isAnythingMissing(report);
    for (const message of unclear)
      context.warn({ code: 'store-damaged', message: isNeeded ? message : `${message}. ${NOT_NEEDED}` });
    const isRepair = given.all && given.repair && !given.dryRun;
    const givenUp = isRepair ? await giveUpLost(report, reader, context) : NOTHING_GIVEN_UP;
    const holds = given.all ? await scrubHolds({ repair: given.repair && !given.dryRun }, context) : [];
    const data: ScrubData = {
      packs: report.packs,
      chunks: report.frames,
      bytes: report.bytesRead,
      findings: report.findings.map((finding) => ({
        store: finding.store === '' ? 'local' : finding.store,
        pack: finding.pack,
        what: finding.what,
        chunk: finding.chunk === undefined ? null : toHex(finding.chunk),
        message: finding.detail,
        other_copies: finding.otherCopies,
        repaired: finding.repaired,
      })),
      files: report.files.map(({ state, snapshot, root, path }) => ({ state, snapshot, root, ...jsonPath(path) })),
      files_omitted: report.filesOmitted,
      lost: { chunks: report.lost.chunks, complete: report.lost.isComplete },
      given_up: givenUp,
      unknown: report.unknown,
      unread: [
        ...report.unread.map(({ label, code, message }) => ({ store: label, code, message })),
        ...stored.unread.filter(({ store }) => !report.unread.some(({ label }) => label === store)),
      ],
      repaired: report.repaired,
      chains: [...chains, ...stored.chains],
      holds,
      dry_run: given.dryRun,
      duration_s: Math.round(report.durationS * 1000) / 1000,
    };
    return { data, exitCode: exitCodeOf(data) };
  },
});

/** Of a pack that nobody can read, and of which no row tells what was in it. */
const NOT_NEEDED = 'Nothing depends on it: every chunk that snapshots need has a good copy. The object may be removed.';

function isAnythingMissing({ lost, unknown, unread, findings }: ScrubReport): boolean {
  const isOpen = findings.some(({ repaired, otherCopies }) => !repaired && otherCopies === 0);
  return isOpen || lost.chunks + unknown.chunks + unknown.unread + unread.length > 0 || !lost.isComplete;
}

/** Runs the pass of a sync over a bucket that is a target. */
function refillOf(name: string, { replicator }: Opened): ScrubStore['refill'] {
  const target = replicator.targets().find((one) => one.type === 'bucket' && one.store === name);
  if (target?.type !== 'bucket') return undefined;
  return {
    scope: target.scope,
    run: async (signal) => {
      await replicator.run(target, signal);
    },
  };
}

/** 7: a whole part of what was acknowledged is in no place. 20: damage. 3: not everything could be looked at. */
function exitCodeOf({ findings, lost, given_up, unknown, unread, chains, holds }: ScrubData): number {
  if (lost.chunks + given_up.chunks > 0) return 7;
  if (!findings.every((finding) => finding.repaired) || chains.some(({ damaged }) => damaged > 0)) return 20;
  if (holds.some((one) => !one.repaired || one.lost + one.unreadable > 0)) return 20;
  return unread.length + unknown.chunks + unknown.unread > 0 ? 3 : 0;
}

function fractionOf(text: string): number {
  const fraction = parsePercent(text);
  if (fraction <= 0) throw new EdgeError('E_USAGE', '--sample takes a percentage above 0, such as 5%');
  return fraction;
}
