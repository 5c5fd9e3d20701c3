/** The quickstart is what a newcomer sees first: it must end with everything equal, on a small tree, in every run of the tests. */
import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { cleanEnvironment, finished } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { tempFolders } from '../support/temp-folder.ts';

const newFolder = tempFolders('quickstart-test');

test('a machine is protected, destroyed and brought back with every byte', async () => {
  const tree = newFolder();
  for (let i = 0; i < 200; i++) {
    const folder = join(tree, `folder ${i % 11}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, `file ${i}`),
      i % 3 === 0 ? pseudoRandom(3000 + i * 700, i + 1) : `text ${i}\n`.repeat(i * 20),
    );
  }
  symlinkSync('folder 1', join(tree, 'link'));
  writeFileSync(join(tree, 'large'), pseudoRandom(6_000_000, 99));
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, '--tree', tree], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { exitCode, stdout, stderr } = await finished(child);
  expect(exitCode, `${stdout}\n${stderr}`).toBe(0);
  expect(stdout).toMatch(/Equal: all \d+ entries/);
  expect(stdout).toMatch(/S3 endpoint +(a real Ceph RADOS gateway|the project’s own S3 server)/);
}, 300_000);
