// Brings a fresh clone to where commands work: installs what the lock file names and builds the packages. Runs on any Node that npm
// runs on (the pinned Node comes with the install), so it uses nothing but Node's own modules.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.edgestore-lock-hash');
const lockHash = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lockHash) {
  say('installing the packages of package-lock.json (npm ci); this takes about half a minute');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  const pinned = join(root, 'node_modules', '.bin', 'node');
  if (!existsSync(pinned)) {
    fail(
      `npm ci brought no Node for ${process.platform} ${process.arch}; edgestore is developed on Linux x64 and arm64`,
    );
  }
  writeFileSync(stamp, lockHash);
}
run('turbo', ['run', 'build', '--output-logs=errors-only', '--log-order=stream', '--no-color'], { quiet: true });

function run(command, args, { quiet = false } = {}) {
  const PATH = `${join(root, 'node_modules', '.bin')}:${process.env.PATH}`;
  const env = { ...process.env, PATH, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', TURBO_NO_UPDATE_NOTIFIER: '1' };
  const done = spawnSync(command, args, {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 2, 2],
  });
  if (done.error) fail(`cannot run ${command}: ${done.error.message}`);
  if (done.status !== 0) {
    if (quiet) process.stderr.write(`${done.stdout}${done.stderr}`);
    fail(`'${command} ${args.join(' ')}' ended with ${done.status ?? done.signal}`);
  }
}

function say(text) {
  process.stderr.write(`edgestore: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}
