/**
 * The npm scripts on a fresh clone. A shell remembers the path of a program that it has run once (dash). The bootstrap script runs under the
 * system's Node and installs another one, so a later `node` of the same shell would still be the system's.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tempFolders } from '../support/temp-folder.ts';

const newFolder = tempFolders('npm-scripts');
const root = fileURLToPath(new URL('../..', import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
const bootstrapped = Object.entries(scripts).filter(([, script]) => script.includes('bootstrap.mjs'));

test('every command of CONTRIBUTING.md begins with the bootstrap script', () => {
  expect(bootstrapped.map(([name]) => name).sort()).toEqual(['bench', 'build', 'check', 'quickstart', 'test']);
});

test.each(bootstrapped)(
  'npm run %s: what follows the bootstrap runs under the Node that the bootstrap installed',
  (_, script) => {
    const base = newFolder();
    const system = join(base, 'system');
    const installed = join(base, 'node_modules', '.bin');
    for (const folder of [system, join(base, 'scripts')]) mkdirSync(folder, { recursive: true });
    const said = join(base, 'said');
    const program = (path: string, text: string): void => {
      writeFileSync(path, `#!/bin/sh\n${text}\n`);
      chmodSync(path, 0o755);
    };
    const tools = ['biome', 'tsc', 'vitest'];
    const install = [`/bin/mkdir -p '${installed}'`].concat(
      ['node', ...tools].map((tool) => `/bin/cp '${base}/mine' '${installed}/${tool}'`),
    );
    program(join(base, 'mine'), `echo "installed $*" >>'${said}'`);
    program(join(system, 'node'), `echo "system $*" >>'${said}'\n${install.join('\n')}`);
    const done = spawnSync('/bin/sh', ['-c', script], {
      cwd: base,
      env: { PATH: `${installed}:${system}` },
      encoding: 'utf8',
    });
    expect(done.status, done.stderr).toBe(0);
    const lines = readFileSync(said, 'utf8').trim().split('\n');
    expect(lines[0]).toBe('system scripts/bootstrap.mjs');
    expect(lines.slice(1).filter((line) => !line.startsWith('installed'))).toEqual([]);
  },
);
