/**
 * Power losses, replayed: from the log of a process's writes, every state is made that a disk may be in when the power goes. A file system keeps
 * what was fsynced, and anything or nothing of the rest: contents and names apart. The rules are those that the program itself relies on
 * (docs/invariants.md): fsync of a file keeps its content, fsync of a folder keeps the names in it.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { type Operation, type RecordedRun, recordWrites } from './write-log.ts';

/** What of the unsynced is kept: nothing, everything (a SIGKILL), the names alone, the contents alone, or each by chance. */
export type Kept = 'synced' | 'all' | 'names' | 'contents' | { readonly random: () => number };

/** Writes are torn at multiples of this. */
const PAGE = 4096;

interface Inode {
  /** What was fsynced. */
  durable: Buffer;
  /** Writes and cuts since then, in order. */
  pending: (Operation & { kind: 'write' | 'truncate' })[];
}

interface NameChange {
  readonly end: number;
  /** The name that is made or removed. */
  readonly path: string;
  /** Of a rename: the name that goes. */
  readonly from: string | undefined;
  readonly apply: (names: Map<string, Inode | 'folder'>) => unknown;
}

/** A data dir whose every command is recorded. The folder itself is what the kernel sees; what the disk has is known here. */
export class RecordedDisk {
  readonly folder: string;
  readonly operations: Operation[] = [];
  readonly #baseline: ReadonlyMap<string, Buffer | 'folder'>;

  /** Everything that is in the folder now counts as durable. */
  constructor(folder: string) {
    this.folder = folder;
    this.#baseline = contentsOf(folder);
  }

  /** Runs a command to its end, or to the SIGKILL that a failpoint in `env` causes. The next power loss may come at any time from here on. */
  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RecordedRun> {
    const base = this.operations.at(-1)?.end ?? 0;
    const run = await recordWrites(this.folder, args, env);
    for (const operation of run.operations)
      this.operations.push({ ...operation, start: operation.start + base + 1, end: operation.end + base + 1 });
    return run;
  }

  /** Numbers of operations done: just before each fsync ended, after each acknowledgement, and at the end. */
  crashPoints(): number[] {
    const points = this.operations.flatMap(({ kind }, at) =>
      kind.startsWith('sync') ? [at] : kind === 'said' ? [at + 1] : [],
    );
    return [...new Set([...points, this.operations.length])];
  }

  /** What was said on stdout before that moment. */
  saidBefore(point: number): string {
    return this.operations
      .slice(0, point)
      .map((operation) => (operation.kind === 'said' ? operation.text : ''))
      .join('');
  }

  /** Makes `target` equal to what the disk has when the power goes after `point` operations. */
  makeStateAt(point: number, kept: Kept, target: string): void {
    const disk = new Disk(this.folder, this.#baseline);
    for (const operation of this.operations.slice(0, point)) disk.take(operation);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { mode: 0o700 });
    const state = disk.state(kept);
    for (const path of [...state.keys()].sort()) {
      const content = state.get(path);
      const place = join(target, path);
      // The names of a folder that is not there itself are lost with it.
      if (path !== '' && !isThere(dirname(place))) continue;
      if (content === 'folder') mkdirSync(place, { recursive: true, mode: 0o700 });
      else if (content !== undefined) writeFileSync(place, content, { mode: 0o600 });
    }
  }
}

class Disk {
  readonly #folder: string;
  readonly #names = new Map<string, Inode | 'folder'>();
  readonly #durableNames = new Map<string, Inode | 'folder'>();
  #pendingNames: NameChange[] = [];

  constructor(folder: string, baseline: ReadonlyMap<string, Buffer | 'folder'>) {
    this.#folder = folder;
    for (const [path, content] of baseline) {
      const node: Inode | 'folder' = content === 'folder' ? 'folder' : { durable: content, pending: [] };
      this.#names.set(path, node);
      this.#durableNames.set(path, node);
    }
  }

  take(operation: Operation): void {
    if (operation.kind === 'said') return;
    const path = this.#at(operation.path);
    if (operation.kind === 'sync') this.#sync(operation);
    else if (operation.kind === 'syncfs') this.#syncAll(operation);
    else if (operation.kind === 'rename' || operation.kind === 'link') this.#move(operation);
    else if (operation.kind === 'write' || operation.kind === 'truncate')
      this.#fileAt(operation.path)?.pending.push(operation);
    else if (operation.kind === 'mkdir') this.#change(operation, path, (names) => names.set(path, 'folder'));
    else if (operation.kind !== 'create') this.#change(operation, path, (names) => names.delete(path));
    else if (!this.#names.has(path)) {
      const inode: Inode = { durable: Buffer.alloc(0), pending: [] };
      this.#change(operation, path, (names) => names.set(path, inode));
    }
  }

  #move(operation: Operation & { kind: 'rename' | 'link' }): void {
    const [from, to] = [this.#at(operation.path), this.#at(operation.to)];
    const moved = [...this.#names].filter(([path]) => path === from || path.startsWith(`${from}/`));
    // A rename is atomic: it is kept as a whole or not at all, and fsync of the folder that has the new name keeps it.
    const apply: NameChange['apply'] = (names) => {
      for (const [path, node] of moved) {
        if (operation.kind === 'rename') names.delete(path);
        names.set(to + path.slice(from.length), node);
      }
    };
    this.#change(operation, to, apply, operation.kind === 'rename' ? from : undefined);
  }

  #change({ end }: Operation, path: string, apply: NameChange['apply'], from?: string): void {
    apply(this.#names);
    this.#pendingNames.push({ end, path, from, apply });
  }

  #keepNames(isKept: (change: NameChange) => boolean): void {
    const kept = this.#pendingNames.filter(isKept);
    for (const change of kept) change.apply(this.#durableNames);
    // The name from which a file was moved away cannot come back later.
    const isOver = (change: NameChange): boolean =>
      kept.some((later) => later.from === change.path && later.end > change.end);
    this.#pendingNames = this.#pendingNames.filter((change) => !isKept(change) && !isOver(change));
  }

  #sync({ path: absolute, start }: Operation & { kind: 'sync' }): void {
    const path = this.#at(absolute);
    const node = path === '' ? 'folder' : this.#names.get(path);
    if (node === undefined) return;
    if (node === 'folder') {
      this.#keepNames((change) => change.end < start && parentOf(change.path) === path);
      return;
    }
    // Writes that ran at the same time as the fsync are not vouched for by it.
    keepWrites(node, ({ end }) => end < start);
  }

  #syncAll({ start }: Operation): void {
    const isKept = ({ end }: { readonly end: number }): boolean => end < start;
    for (const node of new Set(this.#names.values())) if (node !== 'folder') keepWrites(node, isKept);
    this.#keepNames(isKept);
  }

  state(kept: Kept): Map<string, Buffer | 'folder'> {
    const names = new Map(this.#durableNames);
    const chance = typeof kept === 'object' ? kept.random : undefined;
    // A journal keeps changes of names in their order: a crash cuts it somewhere.
    const until =
      chance !== undefined
        ? Math.floor(chance() * (this.#pendingNames.length + 1))
        : kept === 'all' || kept === 'names'
          ? this.#pendingNames.length
          : 0;
    for (const change of this.#pendingNames.slice(0, until)) change.apply(names);
    const state = new Map<string, Buffer | 'folder'>();
    for (const [path, node] of names) {
      if (node === 'folder') state.set(path, node);
      else {
        const pending =
          kept === 'all' || kept === 'contents' ? node.pending : chance === undefined ? [] : some(node.pending, chance);
        state.set(path, contentAfter(node.durable, pending));
      }
    }
    return state;
  }

  #fileAt(path: string): Inode | undefined {
    const node = this.#names.get(this.#at(path));
    return node === 'folder' ? undefined : node;
  }

  #at(path: string): string {
    return relative(this.#folder, path);
  }
}

function keepWrites(node: Inode, isKept: (operation: Operation) => boolean): void {
  node.durable = contentAfter(node.durable, node.pending.filter(isKept));
  node.pending = node.pending.filter((operation) => !isKept(operation));
}

/** Each write is kept, lost, or torn at a page, by chance. */
function some(pending: Inode['pending'], chance: () => number): Inode['pending'] {
  return pending.flatMap((operation): Inode['pending'] => {
    const luck = chance();
    if (luck < 0.4) return [];
    if (luck < 0.8 || operation.kind === 'truncate') return [operation];
    const firstPage = PAGE - (operation.offset % PAGE);
    const length =
      operation.data.length <= firstPage
        ? 0
        : firstPage + PAGE * Math.floor((chance() * (operation.data.length - firstPage)) / PAGE);
    return [{ ...operation, data: operation.data.subarray(0, length) }];
  });
}

function contentAfter(before: Buffer, pending: Inode['pending']): Buffer {
  if (pending.length === 0) return before;
  let length = before.length;
  let capacity = before.length;
  for (const operation of pending) {
    const reach = operation.kind === 'truncate' ? operation.length : operation.offset + operation.data.length;
    capacity = Math.max(capacity, reach);
  }
  const out = Buffer.alloc(capacity);
  before.copy(out);
  for (const operation of pending) {
    if (operation.kind === 'truncate') {
      out.fill(0, Math.min(length, operation.length));
      length = operation.length;
    } else if (operation.data.length > 0) {
      operation.data.copy(out, operation.offset);
      length = Math.max(length, operation.offset + operation.data.length);
    }
  }
  return out.subarray(0, length);
}

function parentOf(path: string): string {
  const parent = dirname(path);
  return parent === '.' ? '' : parent;
}

function contentsOf(folder: string): Map<string, Buffer | 'folder'> {
  const contents = new Map<string, Buffer | 'folder'>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) contents.set(relative(folder, path), 'folder');
    else if (entry.isFile() && !basename(path).endsWith('-shm'))
      contents.set(relative(folder, path), readFileSync(path));
  }
  return contents;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
