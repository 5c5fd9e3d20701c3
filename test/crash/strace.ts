/** Records the system calls of a real run with strace, in the order in which the kernel saw them begin and end. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanEnvironment, EDGESTORE_BIN } from '../support/edgestore-process.ts';

export interface Syscall {
  readonly name: string;
  /** Places in the trace: of two calls, one was over before the other began when its `end` is smaller than the other's `start`. */
  readonly start: number;
  readonly end: number;
  readonly fd: number | undefined;
  /** Of the file that the descriptor means, or the first path among the arguments. */
  readonly path: string;
  /** Of a rename. */
  readonly to: string;
  /** What was written, as far as strace keeps it. */
  readonly data: Buffer;
  /** Where in the file, of a write that says so. */
  readonly offset: number | undefined;
  readonly failed: boolean;
}

const TRACED = 'fsync,fdatasync,rename,renameat,renameat2,write,writev,pwrite64,pwritev,pwritev2,unlink,unlinkat';
/** More than a page of SQLite, which is what is looked into. */
const DATA_BYTES = 4200;

/** Why nothing can be traced here; undefined when it can. */
export function whyNoStrace(): string | undefined {
  const tried = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  if (tried.error !== undefined) return 'strace is not installed (EDGESTORE_TEST_INSTALL=1 installs it)';
  // A container may forbid it.
  return tried.status === 0 ? undefined : `strace cannot trace here: ${tried.stderr.trim()}`;
}

export function installStrace(): void {
  const done = spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'strace'], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  const why = done.status === 0 ? whyNoStrace() : 'apt-get could not install strace';
  if (why !== undefined) throw new Error(why);
}

/** Runs `edgestore ARGS…` to its end, which must be the one that is expected. */
export function traceEdgestore(
  args: readonly string[],
  exit = 0,
): {
  readonly calls: readonly Syscall[];
  readonly stdout: string;
} {
  const scratch = mkdtempSync(join(tmpdir(), 'edgestore-strace-'));
  try {
    const trace = join(scratch, 'trace');
    const options = ['-f', '-y', '-x', '-s', String(DATA_BYTES), '-e', `trace=${TRACED}`, '-o', trace];
    const done = spawnSync('strace', [...options, process.execPath, EDGESTORE_BIN, ...args], {
      encoding: 'utf8',
      env: cleanEnvironment(),
    });
    if (done.status !== exit)
      throw new Error(`edgestore ${args.join(' ')} under strace: ${done.status}\n${done.stderr}`);
    return { calls: parseTrace(readFileSync(trace, 'latin1')), stdout: done.stdout };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Calls of several threads overlap: strace writes where one began (`unfinished`) and where it ended (`resumed`). */
export function parseTrace(trace: string): Syscall[] {
  const calls: Syscall[] = [];
  const open = new Map<string, { text: string; start: number }>();
  for (const [at, line] of trace.split('\n').entries()) {
    const match = /^(\d+) +(.*)$/.exec(line);
    const [, thread = '', rest = ''] = match ?? [];
    if (rest === '' || rest.startsWith('+++') || rest.startsWith('---')) continue;
    if (rest.endsWith('<unfinished ...>')) {
      open.set(thread, { text: rest.slice(0, -'<unfinished ...>'.length), start: at });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const begun = resumed === null ? undefined : open.get(thread);
    open.delete(thread);
    if (resumed !== null && begun === undefined) continue;
    calls.push(parseCall(begun === undefined ? rest : begun.text + (resumed?.[1] ?? ''), begun?.start ?? at, at));
  }
  return calls;
}

function parseCall(text: string, start: number, end: number): Syscall {
  const name = /^\w+/.exec(text)?.[0] ?? '';
  const result = / = (-?\d+)/.exec(text.slice(text.lastIndexOf(')')))?.[1] ?? '0';
  const descriptor = /^\w+\((\d+)<([^>]*)>/.exec(text);
  const strings = [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, quoted = '']) => unquote(quoted));
  const isByName = /^(rename|unlink)/.test(name);
  return {
    name,
    start,
    end,
    fd: descriptor === null || isByName ? undefined : Number(descriptor[1]),
    path: isByName ? (strings[0]?.toString('latin1') ?? '') : (descriptor?.[2] ?? ''),
    to: name.startsWith('rename') ? (strings[1]?.toString('latin1') ?? '') : '',
    data: isByName ? Buffer.alloc(0) : Buffer.concat(strings),
    offset: name === 'pwrite64' ? Number(/, (\d+)\)\s*= -?\d+/.exec(text)?.[1]) : undefined,
    failed: Number(result) < 0,
  };
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12, '"': 34, '\\': 92 };

function unquote(quoted: string): Buffer {
  const bytes: number[] = [];
  for (const [, hex, octal, other, plain] of quoted.matchAll(/\\x([0-9a-f]{2})|\\([0-7]{1,3})|\\(.)|([^\\])/gs)) {
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else if (octal !== undefined) bytes.push(Number.parseInt(octal, 8));
    else bytes.push(other !== undefined ? (ESCAPES[other] ?? other.charCodeAt(0)) : (plain ?? '').charCodeAt(0));
  }
  return Buffer.from(bytes);
}
