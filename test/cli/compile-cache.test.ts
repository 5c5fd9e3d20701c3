/** A start takes its compiled code from the cache; what a long command stores there has to be good for a short one. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runEdgestore } from '../support/edgestore-process.ts';

test('no command writes again what another one has compiled', async () => {
  const base = mkdtempSync(join(tmpdir(), 'edgestore-compiled-'));
  try {
    const folder = join(base, 'files');
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), 'some text\n');
    const edgestore = async (compiledIn: string, ...args: string[]): Promise<string[]> => {
      const env = { XDG_CACHE_HOME: join(base, compiledIn) };
      const done = await runEdgestore([...args, '--data-dir', join(base, 'data')], { env });
      expect(done.exitCode, done.stderr).toBe(0);
      return filesIn(join(base, compiledIn));
    };
    await edgestore('init', 'init', '--recovery-out', join(base, 'sheet'));
    const afterSync = await edgestore('cache', 'sync', folder);
    expect(afterSync.length).toBeGreaterThan(10);
    const afterList = await edgestore('cache', 'ls', 'latest');
    expect(afterList).toEqual(expect.arrayContaining(afterSync));
    expect(await edgestore('cache', 'sync', folder)).toEqual(afterList);
    expect(await edgestore('cache', 'ls', 'latest')).toEqual(afterList);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => `${path} ${statSync(path).mtimeMs}`)
    .sort();
}
