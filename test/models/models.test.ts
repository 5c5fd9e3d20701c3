/** The models of docs/chain.md hold, and each of their mutants is caught. The long searches run by hand: see README.md. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const RUN = fileURLToPath(new URL('./run.py', import.meta.url));
const python = spawnSync('python3', ['--version'], { encoding: 'utf8' });

// Skipped where python3 is not installed, because the models have no other reader.
test.skipIf(python.error !== undefined)('models hold, mutants are caught', { timeout: 300_000 }, () => {
  const run = spawnSync('python3', ['-B', RUN, '--quick'], { encoding: 'utf8' });
  expect(run.stdout).not.toContain('FAIL');
  expect(run.stdout).toContain('all as expected');
  expect(run.status).toBe(0);
});
