/** What a process did to a folder, from the system calls that strace saw: the log of writes that a power loss is replayed from. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { cleanEnvironment, EDGESTORE_BIN, type Finished, finished } from '../../support/edgestore-process.ts';

/** `start` and `end` are places in the log. Of two operations, one was over before the other began when its `end` is smaller. */
interface At {
  readonly start: number;
  readonly end: number;
}

export type Operation = At &
  (
    | { readonly kind: 'create' | 'unlink' | 'mkdir' | 'rmdir'; readonly path: string }
    | { readonly kind: 'sync'; readonly path: string }
    /** Of the whole file system. */
    | { readonly kind: 'syncfs'; readonly path: string }
    | { readonly kind: 'write'; readonly path: string; readonly offset: number; readonly data: Buffer }
    | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
    | { readonly kind: 'rename' | 'link'; readonly path: string; readonly to: string }
    /** Bytes on stdout: an acknowledgement is in them. */
    | { readonly kind: 'said'; readonly text: string }
  );

const TRACED = [
  'open,openat,creat,close,lseek,write,pwrite64,writev,pwritev,pwritev2,truncate,ftruncate,fallocate,copy_file_range,sendfile',
  'rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,syncfs',
].join(',');
/** No pack is larger. */
const DATA_BYTES = 128 << 20;

export interface RecordedRun extends Finished {
  readonly operations: readonly Operation[];
}

/** Runs `edgestore ARGS...` and gives the operations below `folder`, in the order in which they ended. */
export async function recordWrites(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RecordedRun> {
  const scratch = mkdtempSync(join(tmpdir(), 'edgestore-write-log-'));
  const trace = join(scratch, 'trace');
  const options = [
    '-f',
    '-y',
    '-xx',
    '-s',
    String(DATA_BYTES),
    '-e',
    'signal=none',
    '-e',
    `trace=${TRACED}`,
    '-o',
    trace,
  ];
  try {
    const sizes = sizesBelow(folder);
    const child = spawn('strace', [...options, process.execPath, EDGESTORE_BIN, ...args], {
      env: cleanEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const done = await finished(child);
    return { ...done, operations: operationsOf(readFileSync(trace, 'latin1'), folder, sizes) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Files that are not durable by design: SQLite builds the shared memory again, and the kernel drops locks and sockets. */
const VOLATILE = /-shm$|\.sock$/;

/** `sizes` of the files that were there before: an append does not say where it goes. */
export function operationsOf(trace: string, folder: string, sizes = new Map<string, number>()): Operation[] {
  const reader = new TraceReader(resolve(folder), sizes);
  const begun = new Map<string, { text: string; start: number }>();
  for (const [at, line] of trace.split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (rest === '' || rest.startsWith('+++') || rest.startsWith('---')) continue;
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(thread, { text: rest.slice(0, -'<unfinished ...>'.length), start: at });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)?.[1];
    const open = resumed === undefined ? undefined : begun.get(thread);
    begun.delete(thread);
    if (resumed === undefined) reader.take(rest, at, at);
    else if (open !== undefined) reader.take(open.text + resumed, open.start, at);
  }
  return reader.operations;
}

class TraceReader {
  readonly operations: Operation[] = [];
  readonly #folder: string;
  /** Of each open descriptor: where the next write without an offset goes. */
  readonly #offsets = new Map<number, number>();
  readonly #sizes: Map<string, number>;
  readonly #appending = new Set<number>();

  constructor(folder: string, sizes: Map<string, number>) {
    this.#folder = folder;
    this.#sizes = sizes;
  }

  take(text: string, start: number, end: number): void {
    const name = /^\w+/.exec(text)?.[0] ?? '';
    const close = text.lastIndexOf(')');
    const result = Number(/= (-?\d+)/.exec(text.slice(close))?.[1] ?? -1);
    if (result < 0) return;
    const args = text.slice(name.length + 1, close);
    const fd = Number(/^(\d+)</.exec(args)?.[1] ?? -1);
    const path = fd < 0 ? '' : decode(/^\d+<([^>]*)>/.exec(args)?.[1] ?? '');
    const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => bytesOf(hex));
    this.#take({ name, args, fd, path, strings, result, text, start, end });
  }

  #take(call: Call): void {
    const { name, args, fd, path, strings, result, start, end } = call;
    const at = { start, end };
    const [first, second] = strings.map((bytes) => bytes.toString('latin1'));
    if (name === 'open' || name === 'openat' || name === 'creat') this.#opened(call);
    else if (name === 'close') this.#offsets.delete(fd);
    else if (name === 'lseek') this.#offsets.set(fd, result);
    else if (/^(f?truncate)$/.test(name)) {
      const length = Number(/, (\d+)$/.exec(args)?.[1]);
      this.#add({ ...at, kind: 'truncate', path: name === 'truncate' ? (first ?? '') : path, length });
      this.#sizes.set(path, length);
    } else if (name === 'fsync' || name === 'fdatasync') this.#add({ ...at, kind: 'sync', path });
    else if (name === 'syncfs') this.#add({ ...at, kind: 'syncfs', path });
    else if (name.startsWith('rename'))
      this.#add({ ...at, kind: 'rename', path: full(args, first, 0), to: full(args, second, 1) });
    else if (name.startsWith('link'))
      this.#add({ ...at, kind: 'link', path: full(args, first, 0), to: full(args, second, 1) });
    else if (name.startsWith('mkdir')) this.#add({ ...at, kind: 'mkdir', path: full(args, first, 0) });
    else if (name === 'rmdir' || (name === 'unlinkat' && args.includes('AT_REMOVEDIR')))
      this.#add({ ...at, kind: 'rmdir', path: full(args, first, 0) });
    else if (name.startsWith('unlink')) this.#add({ ...at, kind: 'unlink', path: full(args, first, 0) });
    else if (/^p?write/.test(name)) this.#wrote(call);
    else if (name === 'fallocate' && this.#isInside(path)) throw new Error('fallocate is not replayed yet');
    else if (
      /^(copy_file_range|sendfile)$/.test(name) &&
      args.split(', ').some((part) => this.#isInside(decode(/<([^>]*)>/.exec(part)?.[1] ?? '')))
    )
      throw new Error(`${name} is not replayed yet`);
  }

  #opened({ args, strings, result, text, start, end }: Call): void {
    const path = decode(/= \d+<([^>]*)>$/.exec(text)?.[1] ?? '');
    this.#offsets.set(result, 0);
    if (args.includes('O_APPEND')) this.#appending.add(result);
    else this.#appending.delete(result);
    if (strings.length === 0 || !this.#isInside(path)) return;
    if (args.includes('O_CREAT')) this.#add({ start, end, kind: 'create', path });
    if (args.includes('O_TRUNC')) {
      this.#add({ start, end, kind: 'truncate', path, length: 0 });
      this.#sizes.set(path, 0);
    }
  }

  #wrote({ name, args, fd, path, strings, result, start, end }: Call): void {
    const data = Buffer.concat(strings).subarray(0, result);
    if (fd === 1) {
      this.operations.push({ start, end, kind: 'said', text: data.toString('utf8') });
      return;
    }
    if (!this.#isInside(path)) return;
    const given = name.startsWith('p') ? offsetIn(name, args) : undefined;
    const size = this.#sizes.get(path);
    const offset = given ?? (this.#appending.has(fd) ? (size ?? -1) : (this.#offsets.get(fd) ?? 0));
    if (offset < 0) throw new Error(`where an append to ${path} goes is not known`);
    if (given === undefined) this.#offsets.set(fd, offset + result);
    this.#sizes.set(path, Math.max(size ?? 0, offset + result));
    this.#add({ start, end, kind: 'write', path, offset, data });
  }

  #add(operation: Operation): void {
    if (operation.kind === 'said') return;
    if (VOLATILE.test(operation.path)) return;
    if (this.#isInside(operation.path) || ('to' in operation && this.#isInside(operation.to)))
      this.operations.push(operation);
  }

  #isInside(path: string): boolean {
    return path === this.#folder || path.startsWith(`${this.#folder}/`);
  }
}

interface Call {
  readonly name: string;
  readonly args: string;
  readonly fd: number;
  readonly path: string;
  readonly strings: readonly Buffer[];
  readonly result: number;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

function sizesBelow(folder: string): Map<string, number> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(files.map(({ parentPath, name }) => [join(parentPath, name), statSync(join(parentPath, name)).size]));
}

/** Paths of descriptors are quoted like strings, but for plain characters in some versions of strace. */
function decode(path: string): string {
  return path
    .replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/ ?\(deleted\)$/, '');
}

/** The last number of a call with an offset; pwritev2 has flags behind it. */
function offsetIn(name: string, args: string): number {
  const numbers = args.split(', ');
  return Number(name === 'pwritev2' ? numbers.at(-2) : numbers.at(-1));
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

/** The path with the folder that its descriptor means, of the calls that take one. */
function full(args: string, path: string | undefined, nth: number): string {
  if (path === undefined || path.startsWith('/')) return path ?? '';
  const folders = [...args.matchAll(/(?:AT_FDCWD|\d+)<([^>]*)>/g)].map(([, folder = '']) => decode(folder));
  return join(folders[nth] ?? folders[0] ?? '', path);
}
