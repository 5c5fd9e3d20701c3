// Builds the engine: the AssemblyScript chunker kernel, the TypeScript sources, and the .sql files that tsc does not copy.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const run = (command, args) => {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
};

run(process.execPath, ['scripts/build-kernel.mjs']);
run('tsc', ['-b']);
const sqlFrom = join(root, 'src/index/migrations');
if (existsSync(sqlFrom)) {
  const sqlTo = join(root, 'dist/index/migrations');
  mkdirSync(sqlTo, { recursive: true });
  for (const name of readdirSync(sqlFrom)) cpSync(join(sqlFrom, name), join(sqlTo, name));
}
