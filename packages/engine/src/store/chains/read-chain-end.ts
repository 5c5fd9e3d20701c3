/**
 * Reads the chain files behind the last entry that the index knows, verifies what is there, and decides where the chain ends. What a crash left unfinished is
 * cut off: nobody was told of it (docs/chain.md 2.5).
 */
import { stat } from 'node:fs/promises';
import { decodeHead, EntryKind, HEAD_BYTES, type SignedHead, verifyHead } from '../../chain/entry-head.ts';
import { type Position, ZERO_LINK } from '../../chain/position.ts';
import { EdgeError, isEdgeError, toEdgeError } from '../../core/errors.ts';
import type { AgentId } from '../../core/ids.ts';
import { MIB } from '../../core/limits.ts';
import type { EntryRow } from '../../ports/chain-index.ts';
import { readFolder } from '../data-dir.ts';
import type { FileEnd, PlacedEntry } from './chain-file.ts';
import { chainFile, chainFilesIn, type FileName } from './chain-paths.ts';
import type { ChainsDeps } from './chains-deps.ts';
import { FileWindow } from './file-window.ts';
import { LENGTH_BYTES, type ScannedEntry, scanChainFile } from './scan-chain-file.ts';

/** A range of the chain that cannot be read. */
export interface FoundDamage {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly message: string;
}

export interface ChainEnd {
  /** Where the next item goes; undefined when no file is left. */
  readonly end: FileEnd | undefined;
  readonly damage: readonly FoundDamage[];
  /** What is in the file behind `end`: it is kept aside before it is cut off. */
  readonly rest: { readonly path: string; readonly from: number; readonly to: number } | undefined;
  /** Files behind the one that has the end: begun, and never finished. */
  readonly unwanted: readonly FileName[];
  /** Why the end cannot be decided, so that nothing may be appended. Entries before it are there. */
  readonly problem: EdgeError | undefined;
}

type ChainEndDeps = Pick<ChainsDeps, 'vault' | 'sodium' | 'signPublicKey' | 'openCard'>;

/** What is known of the chain, and who wants what is found. */
export interface ReadChainEnd {
  readonly folder: string;
  readonly agent: AgentId;
  /** The last entry that the index knows; undefined to read all. */
  readonly last: EntryRow | undefined;
  /**
   * The index knows all that was acknowledged. False while it is built anew: then zeros with entries behind them are
   * damage, never an unfinished append.
   */
  readonly knowsAcknowledged: boolean;
  /** Gets verified entries behind the last known one, some MiB at a time. */
  readonly onEntries: (entries: readonly PlacedEntry[]) => void | Promise<void>;
}

/** Bytes of bodies given on together. */
const BATCH_BYTES = 4 * MIB;
const BATCH_ENTRIES = 256;

/** E_IO, E_NEWER_FORMAT. */
export async function readChainEnd(input: ReadChainEnd, deps: ChainEndDeps): Promise<ChainEnd> {
  const { folder, last } = input;
  const files = chainFilesIn(await readFolder(folder));
  const from = last === undefined ? 0 : files.findIndex((one) => isSameFile(one, last));
  if (from < 0) throw chainFileGone(chainFile(folder, last!));
  const reader = new EndReader(last, input, deps);
  let end: FileEnd | undefined = last === undefined ? undefined : { ...fileOf(last), end: last.itemEnd };
  let rest: ChainEnd['rest'];
  let problem: EdgeError | undefined;
  const unwanted: FileName[] = [];
  const unread = files.slice(from);
  for (const [i, name] of unread.entries()) {
    // A file is durable before the next one is begun: bytes in it that are no entry are damage, whatever a crash may leave in the newest one.
    const isNewest = i === unread.length - 1;
    if (rest !== undefined) {
      // Files begin in order, and only when the one before is durable: what follows an unfinished end was never acknowledged.
      unwanted.push(name);
      continue;
    }
    const path = chainFile(folder, name);
    const start = last !== undefined && isSameFile(name, last) ? last.itemEnd : 0;
    let at = start;
    for await (const part of scanChainFile(path, start)) {
      const isDamage = part.kind === 'damage' && !(part.hasZeros && input.knowsAcknowledged);
      if (isDamage || (part.kind !== 'entry' && !isNewest)) {
        reader.noteHole(path, part.offset, part.end);
        continue;
      }
      if (part.kind === 'entry') {
        const wrong = await reader.take(part, name);
        if (wrong === undefined) {
          if (!reader.isInHole) at = part.end;
          continue;
        }
        problem = damaged(path, part.offset, wrong);
      } else if (part.kind === 'rest' && !part.isTorn) {
        problem = damaged(path, part.offset, `${part.end - part.offset} bytes at its end are no entry`);
      }
      rest = { path, from: at, to: await fileSize(path) };
      break;
    }
    if (rest === undefined && reader.isInHole && isNewest) {
      problem = damaged(path, at, 'what follows there is not signed by the agent');
      rest = { path, from: at, to: await fileSize(path) };
    }
    if (at === 0 && end !== undefined && problem === undefined) {
      unwanted.push(name);
      rest = { path, from: 0, to: 0 };
    } else end = { ...name, end: at };
  }
  await reader.flush();
  return { end, damage: reader.damage, rest, unwanted, problem };
}

/**
 * Whether the entry is in its file: `short` when the file ends before it, or is gone; `damaged` when other bytes lie there. A damaged body is not looked at
 * here.
 */
export async function lookInFile(folder: string, row: EntryRow): Promise<'whole' | 'damaged' | 'short'> {
  const window = await FileWindow.open(chainFile(folder, row));
  if (window === undefined) return 'short';
  try {
    if (window.size < row.itemEnd) return 'short';
    const bytes = await window.at(row.offset + LENGTH_BYTES, HEAD_BYTES);
    return decodeHead(bytes).link === row.link ? 'whole' : 'damaged';
  } catch (error) {
    if (isEdgeError(error, 'E_FORMAT', 'E_NEWER_FORMAT')) return 'damaged';
    throw error;
  } finally {
    await window.close();
  }
}

async function fileSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw toEdgeError(error, `looking at ${path}`);
  }
}

class EndReader {
  readonly damage: FoundDamage[] = [];
  readonly #input: ReadChainEnd;
  readonly #deps: ChainEndDeps;
  /** Keys of incarnations whose takeover was read here. */
  readonly #keys = new Map<number, Uint8Array>();
  #position: Position | undefined;
  /** Bytes that are no entry lie between the position and the next entry. */
  #hole: string | undefined;
  #batch: PlacedEntry[] = [];
  #bytes = 0;

  constructor(position: Position | undefined, input: ReadChainEnd, deps: ChainEndDeps) {
    this.#position = position;
    this.#input = input;
    this.#deps = deps;
  }

  get isInHole(): boolean {
    return this.#hole !== undefined;
  }

  noteHole(path: string, from: number, to: number): void {
    this.#hole ??= `${path} is damaged from byte ${from} to ${to}`;
  }

  /** Undefined when the entry was taken, or is a damaged range like any other; else why reading ends there. */
  async take(part: ScannedEntry, name: FileName): Promise<string | undefined> {
    const { head, body, isBodyDamaged, offset, end } = part;
    const { vault, agent, incarnation, seq, previous } = head.header;
    // One flipped bit makes another agent, or an incarnation without a card: damage like any other, until a signed entry follows.
    if (vault !== this.#deps.vault || agent !== this.#input.agent) {
      this.#hole ??= `an entry of another vault or agent lies at byte ${offset}`;
      return undefined;
    }
    const key = this.#keyOf(head, body);
    if (key === undefined) {
      this.#hole ??= `there is no card to verify entry ${incarnation}/${seq} with, at byte ${offset}`;
      return undefined;
    }
    if (!this.#isSigned(head, key)) {
      this.#hole ??= `the header of entry ${incarnation}/${seq} is damaged at byte ${offset}`;
      return undefined;
    }
    const expected = (this.#position?.seq ?? 0) + 1;
    if (seq < expected || (seq > expected && this.#hole === undefined))
      return `entry ${incarnation}/${seq} lies where ${expected} belongs`;
    if (seq === expected && previous !== (this.#position?.link ?? ZERO_LINK))
      return `entry ${incarnation}/${seq} does not continue the one before it`;
    if (seq > expected) this.damage.push({ firstSeq: expected, lastSeq: seq - 1, message: this.#hole! });
    this.#hole = undefined;
    if (isBodyDamaged)
      this.damage.push({ firstSeq: seq, lastSeq: seq, message: `the body of entry ${incarnation}/${seq} is damaged` });
    const bodyAt = body === undefined ? undefined : offset + LENGTH_BYTES + HEAD_BYTES;
    this.#batch.push({ head, body, place: { ...name, offset, itemEnd: end, bodyAt } });
    this.#bytes += body?.length ?? 0;
    this.#position = { incarnation, seq, link: head.link };
    if (this.#bytes >= BATCH_BYTES || this.#batch.length >= BATCH_ENTRIES) await this.flush();
    return undefined;
  }

  async flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#bytes = 0;
    if (batch.length > 0) await this.#input.onEntries(batch);
  }

  #isSigned(head: SignedHead, key: Uint8Array): boolean {
    try {
      verifyHead(this.#deps.sodium, head, key);
      return true;
    } catch (error) {
      if (!isEdgeError(error, 'E_INTEGRITY')) throw error;
      return false;
    }
  }

  #keyOf(head: SignedHead, body: Uint8Array | undefined): Uint8Array | undefined {
    const { incarnation, kind } = head.header;
    const known = this.#keys.get(incarnation) ?? this.#deps.signPublicKey(this.#input.agent, incarnation);
    if (known !== undefined || kind !== EntryKind.takeover || body === undefined) return known;
    const card = this.#deps.openCard(body);
    if (card.agentId !== this.#input.agent || card.incarnation !== incarnation) return undefined;
    this.#keys.set(incarnation, card.signPublicKey);
    return card.signPublicKey;
  }
}

function fileOf({ file, fileIncarnation }: FileName): FileName {
  return { file, fileIncarnation };
}

function isSameFile(name: FileName, row: FileName): boolean {
  return name.file === row.file && name.fileIncarnation === row.fileIncarnation;
}

export function chainFileGone(path: string): EdgeError {
  return new EdgeError('E_INTEGRITY', `chain file ${path} is gone`, { hint: DAMAGE_HINT, context: { path } });
}

function damaged(path: string, offset: number, problem: string): EdgeError {
  return new EdgeError('E_INTEGRITY', `chain ${path} is damaged at byte ${offset}: ${problem}`, {
    hint: DAMAGE_HINT,
    context: { path, offset },
  });
}

export const DAMAGE_HINT =
  'Nothing was changed. Mend the chain (`edgestore scrub --repair`) from a peer or the bucket, or put the file back from a copy of the data dir.';
