/** A vault with one captured tree, made through the command line; the ground that most command tests stand on. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, type RunOptions, runEdgestore } from '../support/edgestore-process.ts';

export interface JsonDocument {
  readonly schema: string;
  readonly data: Record<string, never> & Record<string, unknown>;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly exit: number;
    readonly hint?: string;
    readonly details: object;
  };
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

export interface Fixture {
  readonly folder: string;
  readonly dataDir: string;
  readonly tree: string;
  run(args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Runs with `--json`; the exit code has to be `exit`. The document's `error` and `data` are typed loosely on purpose. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own shape, which the tests look into.
  json(args: readonly string[], exit?: number, options?: RunOptions): Promise<any>;
  remove(): void;
}

/** A folder with a small tree; no vault yet. */
export function makeFixture(): Fixture {
  const folder = mkdtempSync(join(tmpdir(), 'edgestore-cli-'));
  mkdirSync(join(tmpdir(), 'edgestore-tests-cache'), { recursive: true });
  const dataDir = join(folder, 'data');
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  writeFileSync(join(tree, 'a.txt'), 'hello\n');
  writeFileSync(join(tree, 'sub', 'b.txt'), 'below\n');
  writeFileSync(join(tree, 'new\nline'), 'odd name\n');
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0xfe, 0x41])]), 'not utf-8\n');
  // A home of its own, so that no configuration is found; the compile cache is shared, or every start would compile everything.
  const env = { EDGESTORE_DATA_DIR: dataDir, HOME: folder, XDG_CACHE_HOME: join(tmpdir(), 'edgestore-tests-cache') };
  const run = (args: readonly string[], options: RunOptions = {}): Promise<Finished> =>
    runEdgestore(args, { ...options, env: { ...env, ...options.env } });
  return {
    folder,
    dataDir,
    tree,
    run,
    json: async (args, exit = 0, options = {}) => {
      const done = await run([...args, '--json'], options);
      if (done.exitCode !== exit) {
        throw new Error(
          `edgestore ${args.join(' ')} ended with ${done.exitCode}, not ${exit}\n${done.stdout}\n${done.stderr}`,
        );
      }
      return JSON.parse(done.stdout) as JsonDocument;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The same with a vault in it and the tree captured once. */
export async function makeVaultFixture(): Promise<Fixture> {
  const fixture = makeFixture();
  await fixture.json([
    'init',
    '--name',
    'tester',
    '--site',
    'lab',
    '--recovery-out',
    join(fixture.folder, 'sheet.txt'),
  ]);
  await fixture.json(['sync', fixture.tree]);
  return fixture;
}
