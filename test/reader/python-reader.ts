/** Runs the reader in Python, the program that knows the formats from their pages only. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const READER = fileURLToPath(new URL('./read_vault.py', import.meta.url));
const PROBE = 'import ctypes; ctypes.CDLL("libzstd.so.1")';

/** Why the reader cannot run on this machine; undefined when it can. */
export function missingForReader(): string | undefined {
  const probe = spawnSync('python3', ['-c', PROBE], { encoding: 'utf8' });
  if (probe.error !== undefined) return 'python3 is not installed';
  return probe.status === 0 ? undefined : `python3 has no libzstd: ${probe.stderr.trim().split('\n').at(-1)}`;
}

export interface ReaderRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function readVault(dataDir: string, target: string, ...more: readonly string[]): ReaderRun {
  return python([READER, dataDir, target, ...more]);
}

/** Runs a script that may import the reader as `read_vault`. */
export function runPython(script: string): ReaderRun {
  return python([
    '-c',
    `import sys; sys.path.insert(0, sys.argv[1])\n${script}`,
    fileURLToPath(new URL('.', import.meta.url)),
  ]);
}

function python(args: readonly string[]): ReaderRun {
  const run = spawnSync('python3', ['-B', ...args], { encoding: 'utf8', timeout: 100_000 });
  if (run.error !== undefined) throw run.error;
  return { exitCode: run.status, stdout: run.stdout, stderr: run.stderr };
}
