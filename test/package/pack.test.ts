/** What users get is what `npm pack` makes of packages/cli: installed in an empty folder, outside the repository, it alone must work. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { differences, manifestOf } from '../oracle/manifest.ts';
import { cleanEnvironment } from '../support/edgestore-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const base = mkdtempSync(join(tmpdir(), 'edgestore-pack-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

function run(command: string, args: readonly string[], cwd: string): string {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnvironment(), maxBuffer: 1 << 26 });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${done.status}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

/** Links that lead out of the folder: the program would then run with what lies in the repository. */
function linksOutOf(folder: string): string[] {
  const inside = realpathSync(folder) + sep;
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isSymbolicLink())
    .map((entry) => realpathSync(join(entry.parentPath, entry.name)))
    .filter((target) => !target.startsWith(inside));
}

describe('the packed command line', () => {
  test('installs in an empty folder, syncs and restores there', () => {
    const app = join(base, 'app');
    mkdirSync(app);
    const cli = join(root, 'packages', 'cli');
    const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', base, '--loglevel=error'], cli));
    writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true }\n');
    const tarball = join(base, packed.filename);
    run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', tarball], app);
    expect(readdirSync(join(app, 'node_modules', '@edgestore'))).toEqual(['cli']);
    expect(linksOutOf(app)).toEqual([]);

    const folder = join(base, 'files');
    mkdirSync(folder);
    writeFileSync(join(folder, 'text'), 'packed and unpacked\n'.repeat(1000));
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub', 'more'), readFileSync(process.execPath).subarray(0, 3_000_000));
    const bin = join(app, 'node_modules', '.bin', 'edgestore');
    const edgestore = (...args: string[]) =>
      run(process.execPath, [bin, ...args, '--data-dir', join(base, 'data')], app);
    edgestore('init', '--recovery-out', join(base, 'sheet'));
    edgestore('sync', folder);
    edgestore('scrub', '--all');
    edgestore('restore', 'latest', '--target', join(base, 'out'));
    expect(differences(manifestOf(folder), manifestOf(join(base, 'out')))).toEqual([]);
  });

  test('tells an old Node plainly what it needs, before anything is imported', () => {
    const bin = join(root, 'packages', 'cli', 'bin', 'run.js');
    // An old Node is made by its version alone: the check must not depend on anything else.
    const fake = join(base, 'old-node.cjs');
    writeFileSync(fake, "Object.defineProperty(process.versions, 'node', { value: '20.1.0' });\n");
    const done = spawnSync(process.execPath, ['--require', fake, bin, 'status'], {
      encoding: 'utf8',
      env: cleanEnvironment(),
    });
    expect(done.status).toBe(2);
    expect(done.stderr).toMatch(/needs Node\.js 22\.22\.0 or newer, this is 20\.1\.0/);
  });
});
