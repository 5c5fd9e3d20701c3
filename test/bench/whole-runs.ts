/**
 * Whole runs of edgestore, and of restic and borg where they are installed, on the same tree in the same run: the tools take turns within a round,
 * so that a machine whose speed drifts slows them alike. Figures are medians; only ratios travel between machines.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanEnvironment, EDGESTORE_BIN } from '../support/edgestore-process.ts';

export type Tool = 'edgestore' | 'edgestore-fast' | 'restic' | 'borg' | 'files';
export type Phase = 'first' | 'nochange' | 'edited' | 'restore' | 'stored';

export interface Measure {
  readonly tool: Tool;
  readonly phase: Phase;
  readonly wallS: number;
  readonly cpuS: number;
  readonly rssMib: number;
  readonly storedMib: number;
}

export interface WholeRunOptions {
  readonly tree: string;
  /** An empty folder on the file system to measure on. */
  readonly work: string;
  readonly rounds: number;
  readonly tools: readonly Tool[];
  /** Inserts bytes into this file of the tree (relative) besides appending to every hundredth. */
  readonly say: (text: string) => void;
}

export function hasTool(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
}

/** Runs every phase of every tool `rounds` times. Throws when a tool fails, or when a restored tree differs. */
export function measureWholeRuns(options: WholeRunOptions): Measure[] {
  const measures: Measure[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    options.say(`round ${round} of ${options.rounds}`);
    measureRound(options, round, measures);
  }
  return measures;
}

function measureRound({ tree, work, tools }: WholeRunOptions, round: number, measures: Measure[]): void {
  const source = join(work, 'source');
  for (const name of ['source', 'out', 'restic', 'borg', 'edge', 'edge.sheet', 'edge-fast', 'edge-fast.sheet', 'cache'])
    rmSync(join(work, name), { recursive: true, force: true });
  must('cp', ['-a', tree, source]);
  const inOrder = tools.filter((tool) => tool !== 'files').map((tool) => DRIVERS[tool](work, source));
  for (const driver of inOrder) driver.init();
  // Another tool begins in each round: the first one finds the machine as the copying left it.
  const first = (round - 1) % inOrder.length;
  const drivers = [...inOrder.slice(first), ...inOrder.slice(0, first)];
  const phase = (name: Phase, run: (driver: Driver) => readonly string[]) => {
    for (const driver of drivers) {
      // Some machines drop what was not read for some seconds; every tool is to find the tree in memory.
      spawnSync('sh', ['-c', `find "${source}" -type f -print0 | xargs -0 cat >/dev/null`]);
      measures.push(timed(driver, name, run(driver), work));
    }
  };
  phase('first', (driver) => driver.backup());
  phase('nochange', (driver) => driver.backup());
  edit(source);
  phase('edited', (driver) => driver.backup());
  for (const driver of drivers) {
    measures.push({
      tool: driver.tool,
      phase: 'stored',
      wallS: 0,
      cpuS: 0,
      rssMib: 0,
      storedMib: folderMib(driver.stored),
    });
  }
  for (const driver of drivers) {
    const out = join(work, 'out');
    measures.push(timed(driver, 'restore', driver.restore(out), work));
    const same = spawnSync('diff', ['-r', '--no-dereference', source, driver.restoredAt(out)], { encoding: 'utf8' });
    if (same.status !== 0)
      throw new Error(
        `${driver.tool} restored something else:\n${same.stdout.slice(0, 2000)}${same.stderr.slice(0, 500)}`,
      );
    rmSync(out, { recursive: true, force: true });
  }
  if (tools.includes('files')) {
    measures.push(timed({ tool: 'files', env: {} }, 'restore', ['cp', '-a', source, join(work, 'out')], work));
    rmSync(join(work, 'out'), { recursive: true, force: true });
  }
}

interface Driver {
  readonly tool: Tool;
  readonly env: Readonly<Record<string, string>>;
  /** The folder whose size is what the tool stored. */
  readonly stored: string;
  init(): void;
  backup(): readonly string[];
  restore(out: string): readonly string[];
  restoredAt(out: string): string;
}

const DRIVERS: Record<Exclude<Tool, 'files'>, (work: string, source: string) => Driver> = {
  edgestore: (work, source) => edgestore('edgestore', join(work, 'edge'), source, []),
  'edgestore-fast': (work, source) =>
    edgestore('edgestore-fast', join(work, 'edge-fast'), source, ['--config', fastConfig(work)]),
  restic: (work, source) => {
    const repository = join(work, 'restic');
    const env = { RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: join(work, 'cache/restic') };
    return {
      tool: 'restic',
      env,
      stored: repository,
      init: () => must('restic', ['init', '-q', '-r', repository, '--repository-version', '2'], env),
      backup: () => ['restic', '-q', '-r', repository, 'backup', source],
      restore: (out) => ['restic', '-q', '-r', repository, 'restore', 'latest', '--target', out],
      restoredAt: (out) => join(out, source),
    };
  },
  borg: (work, source) => {
    const repository = join(work, 'borg');
    const env = {
      BORG_PASSPHRASE: 'bench',
      BORG_CACHE_DIR: join(work, 'cache/borg'),
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
    };
    let archive = 0;
    return {
      tool: 'borg',
      env,
      stored: repository,
      init: () => must('borg', ['init', '-e', 'repokey-blake2', repository], env),
      backup: () => ['borg', 'create', '-C', 'zstd,3', `${repository}::a${++archive}`, source],
      restore: (out) => ['sh', '-c', `mkdir -p "${out}" && cd "${out}" && borg extract "${repository}::a${archive}"`],
      restoredAt: (out) => join(out, source),
    };
  },
};

function edgestore(tool: Tool, dataDir: string, source: string, extra: readonly string[]): Driver {
  const command = [process.execPath, EDGESTORE_BIN];
  return {
    tool,
    env: {},
    stored: join(dataDir, 'packs'),
    init: () =>
      must(command[0] as string, [
        EDGESTORE_BIN,
        'init',
        '--data-dir',
        dataDir,
        '--recovery-out',
        `${dataDir}.sheet`,
        ...extra,
      ]),
    backup: () => [...command, 'sync', source, '--data-dir', dataDir, ...extra],
    restore: (out) => [...command, 'restore', 'latest', '--data-dir', dataDir, '--target', out, ...extra],
    restoredAt: (out) => out,
  };
}

function fastConfig(work: string): string {
  const file = join(work, 'fast.toml');
  writeFileSync(file, '[limits]\ncompression = "fast"\n');
  return file;
}

/**
 * Runs a command and writes down its seconds, user and system time, and peak in KiB, as GNU time does, which few
 * machines have.
 */
const TIME = `
import os, sys, time
start = time.monotonic()
pid = os.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(pid, 0)
with open(sys.argv[1], 'w') as out:
    out.write(f'{time.monotonic() - start:.3f} {used.ru_utime:.3f} {used.ru_stime:.3f} {used.ru_maxrss}')
sys.exit(os.waitstatus_to_exitcode(status) & 255)
`;

function timed(driver: Pick<Driver, 'tool' | 'env'>, phase: Phase, command: readonly string[], work: string): Measure {
  spawnSync('sync');
  const figures = join(work, 'time.txt');
  const start = performance.now();
  const done = spawnSync('python3', ['-c', TIME, figures, ...command], {
    env: cleanEnvironment(driver.env),
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const wallS = (performance.now() - start) / 1000;
  if (done.status !== 0)
    throw new Error(
      `${driver.tool} ${phase} ended with ${done.status}: ${command.join(' ')}\n${done.stdout}\n${done.stderr}`,
    );
  const [elapsed, user = 0, system = 0, kib = 0] = readFileSync(figures, 'utf8')
    .trim()
    .split('\n')
    .at(-1)!
    .split(' ')
    .map(Number);
  return { tool: driver.tool, phase, wallS: elapsed ?? wallS, cpuS: user + system, rssMib: kib / 1024, storedMib: 0 };
}

/** Appends to about 1 % of the files and inserts bytes into the largest one, as a day's work would. */
function edit(source: string): void {
  const listed = spawnSync('find', [source, '-type', 'f', '-size', '+0', '-printf', '%s %p\\n'], {
    encoding: 'latin1',
    maxBuffer: 1 << 28,
  });
  const files = listed.stdout.trim().split('\n').sort();
  let largest = { size: -1, path: '' };
  for (const [index, line] of files.entries()) {
    const space = line.indexOf(' ');
    const path = line.slice(space + 1);
    const size = Number(line.slice(0, space));
    if (size > largest.size) largest = { size, path };
    if (index % 100 === 1 && existsSync(path)) appendFileSync(path, `edit ${index}`);
  }
  must('python3', [
    '-c',
    'import sys; p=sys.argv[1]; b=bytearray(open(p,"rb").read()); b[len(b)//3:len(b)//3]=b"inserted bytes"*50; open(p,"wb").write(b)',
    largest.path,
  ]);
}

function folderMib(folder: string): number {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return 0;
  return Number(spawnSync('du', ['-s', '--block-size=1K', folder], { encoding: 'utf8' }).stdout.split('\t')[0]) / 1024;
}

function must(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const done = spawnSync(command, args, { env: cleanEnvironment(env), encoding: 'utf8', maxBuffer: 1 << 26 });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${done.status}\n${done.stdout}\n${done.stderr}`);
}
