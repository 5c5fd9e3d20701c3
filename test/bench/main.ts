/**
 * npm run bench -- [--tree DIR] [--rounds 3] [--work DIR] [--only kernels|tree|file] [--files 58000] [--mib 1500] [--installed-peers]
 *
 * Kernels, then whole runs on a mixed tree and on one large file, with restic and borg beside us in the same run. restic is the newest one that the
 * machine can get, else the installed one (`--installed-peers` asks for that one); borg is the installed one. As root the runs lie on a fresh ext4 in a loop file, because some machines' own file systems hide the tools' differences. Read the ratios.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureKernels } from './kernels.ts';
import { fetchNewestPeers, versionOf } from './newest-peers.ts';
import { hasTool, type Measure, measureWholeRuns, type Phase, type Tool } from './whole-runs.ts';

const { values: options } = parseArgs({
  options: {
    tree: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    work: { type: 'string' },
    only: { type: 'string' },
    files: { type: 'string', default: '58000' },
    mib: { type: 'string', default: '1500' },
    'loop-gb': { type: 'string', default: '12' },
    'installed-peers': { type: 'boolean', default: false },
  },
});

const wants = (part: string): boolean => options.only === undefined || options.only === part;
say(
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`,
);

if (wants('kernels')) {
  say('\nKernels, one core, MB/s');
  for (const { kernel, mbPerS } of await measureKernels())
    say(`  ${kernel.padEnd(36)} ${mbPerS.toFixed(0).padStart(6)}`);
}
if (wants('tree') || wants('file')) await wholeRuns();

async function wholeRuns(): Promise<void> {
  if (!hasTool('python3')) fail('python3 is needed: it measures processor time and memory');
  const tools: Tool[] = ['edgestore', 'edgestore-fast', 'files'];
  if (!options['installed-peers']) useNewestRestic();
  for (const tool of ['restic', 'borg'] as const) {
    const version = versionOf(tool);
    if (version === undefined) say(`${tool} is not installed: left out`);
    else {
      say(`${tool}: ${version}`);
      tools.push(tool);
    }
  }
  const work = makeWork();
  try {
    for (const kind of ['tree', 'file'] as const) {
      if (!wants(kind)) continue;
      const tree = sampleTree(kind);
      say(`\nWhole runs: ${kind === 'tree' ? 'mixed tree' : 'one large file'} (${tree})`);
      print(measureWholeRuns({ tree, work: work.path, rounds: Number(options.rounds), tools, say }), tools);
    }
  } finally {
    work.remove();
  }
}

/** Puts the newest restic in front of PATH, or says why the installed one has to do. */
function useNewestRestic(): void {
  const { folder, why } = fetchNewestPeers(join(tmpdir(), 'edgestore-bench-peers'), ['restic']);
  if (folder === undefined) say(`no newer restic could be brought here, so the installed one is measured: ${why}`);
  else process.env.PATH = `${folder}:${process.env.PATH}`;
}

/** The given tree, or the seeded one, made once and kept in the temporary folder. */
function sampleTree(kind: 'tree' | 'file'): string {
  if (kind === 'tree' && options.tree !== undefined) return options.tree;
  const dir = join(tmpdir(), `edgestore-bench-${kind}-${options.files}-${options.mib}`);
  if (!existsSync(dir)) say(`making ${dir}`);
  const script = fileURLToPath(new URL('../../scripts/bench-tree.mjs', import.meta.url));
  if (kind === 'file') mkdirSync(dir, { recursive: true });
  const args =
    kind === 'file'
      ? [script, join(dir, 'one-file'), '--mib', options.mib, '--one-file']
      : [script, dir, '--mib', options.mib, '--files', options.files];
  const made = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (made.status !== 0) fail(`making the sample failed: ${made.stderr}`);
  return dir;
}

function makeWork(): { path: string; remove: () => void } {
  if (options.work !== undefined) return { path: options.work, remove: () => {} };
  const path = mkdtempSync(join(tmpdir(), 'edgestore-bench-'));
  const image = `${path}.img`;
  const isRoot = process.getuid?.() === 0;
  const mounted =
    isRoot &&
    quietly('fallocate', '-l', `${options['loop-gb']}G`, image) &&
    quietly('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image) &&
    quietly('mount', '-o', 'loop', image, path);
  if (!mounted) say('no fresh ext4 (not root, or no loop devices): running on the temporary folder’s own file system');
  return {
    path,
    remove: () => {
      if (mounted) quietly('umount', path);
      rmSync(image, { force: true });
      rmSync(path, { recursive: true, force: true });
    },
  };
}

function print(measures: readonly Measure[], tools: readonly Tool[]): void {
  const of = (tool: Tool, phase: Phase): Measure[] =>
    measures.filter((one) => one.tool === tool && one.phase === phase);
  say(
    `  ${'phase'.padEnd(10)}${'tool'.padEnd(16)}${'wall s'.padStart(9)}${'cpu s'.padStart(9)}${'peak MiB'.padStart(10)}`,
  );
  for (const phase of ['first', 'nochange', 'edited', 'restore'] as const) {
    for (const tool of tools) {
      const runs = of(tool, phase);
      if (runs.length === 0) continue;
      const [wall, cpu, rss] = [median(runs, 'wallS'), median(runs, 'cpuS'), median(runs, 'rssMib')];
      say(
        `  ${phase.padEnd(10)}${tool.padEnd(16)}${wall.toFixed(2).padStart(9)}${cpu.toFixed(2).padStart(9)}${rss.toFixed(0).padStart(10)}`,
      );
    }
  }
  for (const tool of tools) {
    const stored = of(tool, 'stored');
    if (stored.length > 0)
      say(`  stored    ${tool.padEnd(16)}${median(stored, 'storedMib').toFixed(1).padStart(9)} MiB`);
  }
  for (const tool of tools.filter((one) => !one.startsWith('edgestore'))) {
    for (const phase of ['first', 'nochange', 'edited', 'restore', 'stored'] as const) {
      const theirs = of(tool, phase);
      const ours = of('edgestore', phase);
      if (theirs.length === 0 || ours.length === 0) continue;
      const key = phase === 'stored' ? 'storedMib' : 'wallS';
      const ratios = theirs.map((one, round) => one[key] / (ours[round]?.[key] ?? Number.NaN)).sort((a, b) => a - b);
      say(
        `  ratio ${phase.padEnd(10)}${tool}/edgestore ${(ratios[Math.floor(ratios.length / 2)] ?? Number.NaN).toFixed(2)}`,
      );
    }
  }
}

function median(runs: readonly Measure[], key: 'wallS' | 'cpuS' | 'rssMib' | 'storedMib'): number {
  const sorted = runs.map((run) => run[key]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function quietly(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
