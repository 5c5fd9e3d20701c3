/**
 * Chooses, chunk by chunk, which copy to read: the cheapest source that has it, the next one when a copy turns out bad. It keeps what
 * each source said, so that the last error can name all of them. Absence is believed only from a source that answered.
 */
import { EdgeError, type ErrorCode, isEdgeError, toEdgeError } from '../core/errors.ts';
import { type ChunkId, type HexId, toHex } from '../core/ids.ts';
import type { ReportWarning } from '../core/ports/progress.ts';
import type { MissReason, SealedAddress, SealedSource } from '../core/ports/sealed-source.ts';

/** A copy that could not be used; the index should stop offering it. */
export interface BadCopy {
  readonly source: SealedSource;
  readonly address: SealedAddress;
  readonly reason: MissReason;
  readonly detail: string;
}

export interface CopyRouterDeps {
  /** In order of cost; neighbours of one kind share the load. */
  readonly sources: readonly SealedSource[];
  readonly warn: ReportWarning;
  readonly onBadCopy?: ((bad: BadCopy) => void) | undefined;
}

export interface Copy {
  readonly source: SealedSource;
  readonly address: SealedAddress;
}

/** One chunk on its way: where it is read from now, and what was tried. */
export class Wanted {
  readonly id: ChunkId;
  copy: Copy | undefined = undefined;
  /** What went wrong so far; most chunks never have any. */
  trouble: Trouble | undefined = undefined;
  #hex: HexId | undefined = undefined;

  constructor(id: ChunkId) {
    this.id = id;
  }

  /** Made when it is first asked for: of most chunks of a restore it never is. */
  get hex(): HexId {
    this.#hex ??= toHex(this.id);
    return this.#hex;
  }
}

export interface Trouble {
  /** Sources that have nothing more to give for this chunk. */
  readonly spent: Set<SealedSource>;
  /** Copies that were bad, as `source pack:offset`. */
  readonly bad: Set<string>;
  /** In words. */
  readonly notes: string[];
  /** What a source said other than "I do not have it": the first that somebody has to see to, or else the first. */
  failure: EdgeError | undefined;
  /** A copy could not be read now, and may be good. */
  isUnread: boolean;
}

/** The chunk's trouble, to add to. */
function troubleOf(wanted: Wanted): Trouble {
  wanted.trouble ??= { spent: new Set(), bad: new Set(), notes: [], failure: undefined, isUnread: false };
  return wanted.trouble;
}

/** Lets a chunk that is wanted twice share what was found out about the other one. */
export function shareTrouble(from: Wanted, to: Wanted): void {
  if (from.trouble === undefined) return;
  const trouble = troubleOf(to);
  trouble.notes.push(...from.trouble.notes);
  trouble.failure ??= from.trouble.failure;
  trouble.isUnread ||= from.trouble.isUnread;
  for (const source of from.trouble.spent) trouble.spent.add(source);
}

/** A source that failed this often in a row is not asked again by this reader: each try may cost a whole timeout. */
const SOURCE_FAILURES_MAX = 5;
/** Sources of one kind take turns in runs of this many sealed bytes, so that neighbouring frames still make one range. */
const TURN_BYTES = 4 * 1024 * 1024;

export interface CopyRouter {
  /** Sets `copy` of each wanted chunk to the cheapest one left; leaves it undefined where none is left. E_NEWER_FORMAT for a local pack. */
  choose(wanted: readonly Wanted[], signal?: AbortSignal): Promise<void>;
  /** The chosen copy was missing or damaged. Another copy in the same source is still tried. */
  spoil(wanted: Wanted, reason: MissReason, detail: string): void;
  /** The chosen copy's source failed as a whole. */
  sourceFailed(wanted: Wanted, source: SealedSource, error: unknown): void;
  /** The source gave something: earlier failures are forgiven. */
  sourceWorked(source: SealedSource): void;
  /** Why a chunk without a copy cannot be read. */
  explain(wanted: Wanted): EdgeError;
}

export function createCopyRouter(deps: CopyRouterDeps): CopyRouter {
  const groups = groupByKind(deps.sources);
  const failures = new Map<SealedSource, { inARow: number; last: EdgeError | undefined }>();
  const assigned = new Map<SealedSource, number>();
  const turn = new Map<string, SealedSource>();

  async function choose(wanted: readonly Wanted[], signal?: AbortSignal): Promise<void> {
    for (const one of wanted) one.copy = undefined;
    let open = wanted;
    for (const group of groups) {
      if (open.length === 0) return;
      const answers = await Promise.all(group.sources.map((source) => ask(source, open, signal)));
      const left: Wanted[] = [];
      for (const [i, one] of open.entries()) {
        const offers: Copy[] = [];
        for (let s = 0; s < group.sources.length; s++) {
          const address = answers[s]?.[i];
          if (address !== undefined) offers.push({ source: group.sources[s]!, address });
        }
        one.copy = group.sources.length === 1 ? offers[0] : pick(group.kind, offers);
        if (one.copy === undefined) left.push(one);
      }
      open = left;
    }
  }

  /** Positions match `wanted`; undefined for the whole source when it cannot be asked. */
  async function ask(
    source: SealedSource,
    wanted: readonly Wanted[],
    signal: AbortSignal | undefined,
  ): Promise<(SealedAddress | undefined)[] | undefined> {
    const askable = wanted.filter((one) => one.trouble?.spent.has(source) !== true);
    if (askable.length === 0) return undefined;
    const state = failures.get(source);
    if (state !== undefined && state.inARow >= SOURCE_FAILURES_MAX) {
      for (const one of askable) noteFailure(one, source, state.last!);
      return undefined;
    }
    let found: (SealedAddress | undefined)[];
    try {
      found = await source.locate(
        askable.map((one) => one.id),
        signal,
      );
    } catch (error) {
      signal?.throwIfAborted();
      // This program is too old for its own store: a copy elsewhere would hide it, and what has none would look lost.
      if (source.kind === 'local' && isEdgeError(error, 'E_NEWER_FORMAT')) throw error;
      const failure = fail(source, error);
      for (const one of askable) noteFailure(one, source, failure);
      return undefined;
    }
    const usable = found.map((address, i) => {
      const one = askable[i]!;
      if (address !== undefined && one.trouble?.bad.has(addressKey(source, address)) !== true) return address;
      const { spent, notes } = troubleOf(one);
      spent.add(source);
      if (!notes.some((note) => note.startsWith(`${source.label}: `))) notes.push(`${source.label}: not there`);
      return undefined;
    });
    if (askable.length === wanted.length) return usable;
    const byWanted = new Map(askable.map((one, i) => [one, usable[i]]));
    return wanted.map((one) => byWanted.get(one));
  }

  function pick(kind: string, offers: readonly Copy[]): Copy | undefined {
    if (offers.length === 0) return undefined;
    const load = (source: SealedSource) => assigned.get(source) ?? 0;
    let best = offers[0]!;
    for (const offer of offers) if (load(offer.source) < load(best.source)) best = offer;
    const current = offers.find((offer) => offer.source === turn.get(kind));
    if (current !== undefined && load(current.source) - load(best.source) < TURN_BYTES) best = current;
    turn.set(kind, best.source);
    assigned.set(best.source, load(best.source) + best.address.sealedBytes);
    return best;
  }

  function spoil(wanted: Wanted, reason: MissReason, detail: string): void {
    const copy = wanted.copy;
    if (copy === undefined) return;
    const trouble = troubleOf(wanted);
    const { bad, notes } = trouble;
    if (reason === 'unreadable') trouble.isUnread = true;
    bad.add(addressKey(copy.source, copy.address));
    const place = copy.address.pack === undefined ? '' : ` pack ${copy.address.pack} at byte ${copy.address.offset}`;
    notes.push(`${copy.source.label}: ${reason}${place} (${detail})`);
    wanted.copy = undefined;
    copy.source.spoiled?.(copy.address, reason, detail);
    deps.onBadCopy?.({ source: copy.source, address: copy.address, reason, detail });
  }

  function sourceFailed(wanted: Wanted, source: SealedSource, error: unknown): void {
    const last = failures.get(source)?.last;
    // The same failure spoils many chunks of one fetch; it counts, and is said, once.
    noteFailure(wanted, source, last?.cause === error || last === error ? last! : fail(source, error));
  }

  function fail(source: SealedSource, thrown: unknown): EdgeError {
    const error = toEdgeError(thrown);
    const state = failures.get(source) ?? { inARow: 0, last: undefined };
    const said = state.last?.message === error.message;
    failures.set(source, { inARow: state.inARow + 1, last: error });
    if (!said) deps.warn({ code: error.code, message: `${source.label} could not be read from: ${error.message}` });
    return error;
  }

  function noteFailure(wanted: Wanted, source: SealedSource, error: EdgeError): void {
    wanted.copy = undefined;
    const trouble = troubleOf(wanted);
    trouble.spent.add(source);
    trouble.notes.push(`${source.label}: ${error.message}`);
    if (trouble.failure === undefined || (needsSomebody(error) && !needsSomebody(trouble.failure)))
      trouble.failure = error;
  }

  function sourceWorked(source: SealedSource): void {
    const state = failures.get(source);
    if (state !== undefined) state.inARow = 0;
  }

  return { choose, spoil, sourceFailed, sourceWorked, explain };
}

/** A source that is away may come back by itself. One that refuses, or that another answers for, does not. */
function needsSomebody(error: EdgeError): boolean {
  return isEdgeError(error, 'E_ARCHIVED', 'E_DENIED');
}

/**
 * E_INTEGRITY when every source answered and none has a good copy; E_STORE when one has a copy that it cannot read now; the code of the failure (E_ARCHIVED, E_DENIED …; E_STORE for a plain
 * I/O error) when some source could not be asked, because the chunk may well be there.
 */
function explain(wanted: Wanted): EdgeError {
  const notes = wanted.trouble?.notes ?? [];
  const tried = notes.length === 0 ? 'there is no source to read from' : notes.join('; ');
  const failure = wanted.trouble?.failure;
  const context = { chunk: wanted.hex };
  if (failure === undefined && wanted.trouble?.isUnread === true) {
    return new EdgeError('E_STORE', `chunk ${wanted.hex} could not be read: ${tried}`, {
      hint: 'The copy may be good: see the kernel log (dmesg) of that machine. Or make another copy reachable.',
      context,
      retryable: true,
    });
  }
  if (failure === undefined) {
    return new EdgeError('E_INTEGRITY', `chunk ${wanted.hex} is in no source: ${tried}`, {
      hint: 'Make another copy reachable (a peer or the bucket) and run the command again.',
      context,
    });
  }
  const code: ErrorCode = isEdgeError(failure, 'E_ARCHIVED', 'E_DENIED', 'E_TIMEOUT', 'E_NEWER_FORMAT')
    ? failure.code
    : 'E_STORE';
  return new EdgeError(code, `chunk ${wanted.hex} could not be read: ${tried}`, {
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    context,
    retryable: true,
    cause: failure,
  });
}

function addressKey(source: SealedSource, address: SealedAddress): string {
  return `${source.label} ${address.pack ?? ''}:${address.offset ?? ''}`;
}

function groupByKind(sources: readonly SealedSource[]): { readonly kind: string; readonly sources: SealedSource[] }[] {
  const groups: { kind: string; sources: SealedSource[] }[] = [];
  for (const source of sources) {
    const last = groups.at(-1);
    if (last?.kind === source.kind) last.sources.push(source);
    else groups.push({ kind: source.kind, sources: [source] });
  }
  return groups;
}
