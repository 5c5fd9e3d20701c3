/** Runs the real command-line program, as a user's shell would: its own process, the committed `bin/run.js`, the pinned Node. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const EDGESTORE_BIN = fileURLToPath(new URL('../../packages/cli/bin/run.js', import.meta.url));

export interface Finished {
  readonly exitCode: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** Called with the process as soon as it runs (to kill it). */
  readonly onStart?: (child: ChildProcess) => void;
  /** Where live stderr goes besides being kept, e.g. the terminal. */
  readonly onStderr?: (text: string) => void;
}

/** The environment without anything that would change what a command does. */
export function cleanEnvironment(extra: Readonly<Record<string, string | undefined>> = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(EDGESTORE_|AWS_|FORCE_COLOR|NO_COLOR|NODE_OPTIONS|VITEST|XDG_)/.test(name)) env[name] = value;
  }
  for (const [name, value] of Object.entries(extra)) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  return env;
}

/** Starts `edgestore ARGS…` and leaves it running. */
export function startEdgestore(args: readonly string[], options: RunOptions = {}): ChildProcess {
  return spawn(process.execPath, [EDGESTORE_BIN, ...args], {
    cwd: options.cwd,
    env: cleanEnvironment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs `edgestore ARGS…` to its end; never throws for an exit code. */
export function runEdgestore(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = startEdgestore(args, options);
  options.onStart?.(child);
  child.stdin?.end(options.stdin ?? '');
  return finished(child, options.onStderr);
}

/** Runs with `--json` and returns the document's `data`; throws with the whole output unless the exit code is one of `exitCodes`. */
export async function edgestoreJson<T = Record<string, unknown>>(
  args: readonly string[],
  options: RunOptions & { readonly exitCodes?: readonly number[] } = {},
): Promise<T> {
  const done = await runEdgestore([...args, '--json'], options);
  if (done.exitCode === undefined || !(options.exitCodes ?? [0]).includes(done.exitCode)) {
    throw new Error(
      `edgestore ${args.join(' ')} ended with ${done.exitCode ?? done.signal}\n${done.stdout}\n${done.stderr}`,
    );
  }
  return (JSON.parse(done.stdout) as { data: T }).data;
}

/** Collects a child's output until it ends. */
export function finished(child: ChildProcess, onStderr?: (text: string) => void): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onStderr?.(text);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ exitCode: code ?? undefined, signal: signal ?? undefined, stdout, stderr }),
    );
  });
}

/** Asks again every 100 ms until `probe` gives a value; fails with `what` after `timeoutMs`. */
export async function waitUntil<T>(what: string, timeoutMs: number, probe: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: last });
}
