/** What holds for every command: usage errors, help, streams, colours, progress, interruption. */
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cleanEnvironment, EDGESTORE_BIN, finished, startEdgestore } from '../support/edgestore-process.ts';
import { type Fixture, makeVaultFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await makeVaultFixture();
});
afterAll(() => fixture.remove());

test.each([
  [['snpshot'], 'did you mean "snapshot"'],
  [['snapshot', 'lst'], 'did you mean "snapshot list"'],
  [['snapshot'], 'needs a verb'],
  [['snapshot', '--json'], 'needs a verb'],
  [['sync', '--bogus'], 'no flag --bogus'],
  [['sync', '--ful-scan'], 'did you mean --full-scan'],
  [['peer', 'invite'], '--role is required'],
  [['peer', 'invite', '--role', 'king'], '--role is one of edge, holder, reader, not "king"'],
  [['peer', 'invite', '--role', 'edge', '--uses', '0'], '--uses: expected an integer'],
  [['restore', 'latest', '--in-place'], '--in-place needs --overwrite'],
  [['scrub', '--all', '--sample', '5%'], '--all and --sample exclude each other'],
  [['restore'], 'SNAPSHOT is missing'],
  [['restore', 'latest'], '--target'],
  [['restore', 'latest', '--target', '/tmp/x', '--in-place', '--overwrite', 'always'], 'in-place'],
  [['ls', 'latest', 'more'], 'unexpected argument'],
  [['sync', '--wait', 'moon'], 'moon'],
  [['sync', '--max-delete', 'many'], '--max-delete'],
  [['sync', '--tag', 'novalue'], 'KEY=VALUE'],
  [['sync', '--timeout', '5'], '5'],
  [['sync', '--progress', 'dance'], 'progress'],
  [['scrub', '--sample', '0%'], '--sample'],
  [['--bogus', 'sync'], '--bogus'],
])('%j is a usage error: exit 2, nothing on stdout', async (args, message) => {
  const done = await fixture.run(args.filter((one) => one !== '--json'));
  expect(done.stderr).toContain(message);
  expect(done.stdout).toBe('');
  expect(done.exitCode).toBe(2);
  const document = await fixture.json(
    args.filter((one) => one !== '--json'),
    2,
  );
  expect(document.schema).toBe('edgestore.v1.error');
  expect(document.error).toMatchObject({ code: 'E_USAGE', exit: 2 });
});

test.each([
  ['--passphrase=hunter2'],
  ['--password'],
  ['--token=abc'],
  ['edgestore-key-1:c2VjcmV0:00000000'],
  ['edgestore-invite-1:abcdef:00000000'],
  ['s3://key:secret@bucket/prefix'],
])('a secret on the command line (%s) is refused, not repeated, and the safe way is named', async (argument) => {
  const done = await fixture.run(['sync', argument]);
  expect(done.exitCode).toBe(2);
  expect(done.stderr).toMatch(/never taken from the command line/);
  expect(done.stderr).toMatch(/file|prompt|places/);
  expect(done.stderr).not.toMatch(/hunter2|c2VjcmV0|abcdef:|key:secret/);
});

test('help and version are results: on stdout, exit 0, with global flags before the command too', async () => {
  for (const args of [
    ['--help'],
    ['help'],
    [],
    ['help', 'sync'],
    ['sync', '--help'],
    ['sync', '-h'],
    ['snapshot', '--help'],
    ['--version'],
  ]) {
    const done = await fixture.run(args);
    expect([args, done.exitCode, done.stderr]).toEqual([args, 0, '']);
    expect(done.stdout).toMatch(/edgestore/);
  }
  expect((await fixture.run(['--quiet', '--data-dir', fixture.dataDir, 'snapshot', 'list'])).exitCode).toBe(0);
  expect((await fixture.run(['help', 'nothing'])).exitCode).toBe(2);
});

test('without a data dir every command that needs one says so with exit 10', async () => {
  const elsewhere = ['--data-dir', join(fixture.folder, 'nowhere')];
  for (const args of [
    ['status'],
    ['sync', fixture.tree],
    ['snapshot', 'list'],
    ['restore', 'latest', '--target', '/tmp/nothing'],
    ['key', 'list'],
  ]) {
    const done = await fixture.run([...args, ...elsewhere]);
    expect([args, done.exitCode]).toEqual([args, 10]);
    expect(done.stderr).toContain('edgestore init');
    expect((await fixture.json([...args, ...elsewhere], 10)).error.code).toBe('E_NO_VAULT');
  }
});

test('a reader that leaves early is no crash', async () => {
  const script = `"${process.execPath}" "${EDGESTORE_BIN}" ls latest --recursive | true; echo "\${PIPESTATUS[0]}"`;
  const done = spawnSync('bash', ['-c', script], {
    env: cleanEnvironment({ EDGESTORE_DATA_DIR: fixture.dataDir }),
    encoding: 'utf8',
  });
  expect(done.stderr).not.toMatch(/EPIPE|Error/);
  expect(done.stdout.trim()).toBe('0');
});

test('colours: forced, forbidden, per stream', async () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control sequences.
  const coloured = /\x1b\[/;
  expect((await fixture.run(['snapshot', 'show', 'latest'])).stdout).not.toMatch(coloured);
  expect((await fixture.run(['snapshot', 'show', 'latest'], { env: { FORCE_COLOR: '1' } })).stdout).toMatch(coloured);
  expect(
    (await fixture.run(['snapshot', 'show', 'latest', '--no-color'], { env: { FORCE_COLOR: '1' } })).stdout,
  ).not.toMatch(coloured);
  expect((await fixture.run(['snapshot', 'show', 'none'], { env: { FORCE_COLOR: '1' } })).stderr).toMatch(coloured);
  expect((await fixture.run(['snapshot', 'show', 'none'], { env: { NO_COLOR: '1' } })).stderr).not.toMatch(coloured);
});

test('--progress json ends with a summary; --json keeps stdout to one document', async () => {
  const done = await fixture.run(['sync', '--progress', 'json', '--json']);
  const lines = done.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; exit?: number });
  expect(lines.at(-1)).toMatchObject({ type: 'summary', exit: 0 });
  expect(done.stdout.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(done.stdout)).toMatchObject({ schema: 'edgestore.v1.sync', warnings: [] });
});

test('a command that is not done in time ends with exit 1 and says so', async () => {
  expect((await fixture.json(['sync', '--timeout', '1ms'], 1)).error).toMatchObject({ code: 'E_TIMEOUT' });
  expect((await fixture.run(['status', '--watch', '--timeout', '1s'])).stderr).toContain('not done within 1s');
});

test('-q says nothing when all went well', async () => {
  expect(await fixture.run(['sync', '-q'])).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
});

test('-v says why and where', async () => {
  const done = await fixture.run(['cat', 'latest:a.txt/b', '-v']);
  expect(done.exitCode).toBe(2);
  expect(done.stderr).toMatch(/\n\s+at /);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends with %i, twice at once', async (signal, exit) => {
  for (const times of [1, 2]) {
    const child = startEdgestore(['status', '--watch', '--json'], { env: { EDGESTORE_DATA_DIR: fixture.dataDir } });
    const done = finished(child);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    for (let i = 0; i < times; i++) child.kill(signal);
    expect((await done).exitCode).toBe(exit);
  }
});

test('bytes of the command line that are no UTF-8 reach the program, and listings can be typed back', async () => {
  const env = cleanEnvironment({ EDGESTORE_DATA_DIR: fixture.dataDir });
  const raw = spawnSync('bash', ['-c', `exec "${process.execPath}" "${EDGESTORE_BIN}" cat $'latest:\\xff\\xfeA'`], {
    env,
    encoding: 'utf8',
  });
  expect([raw.status, raw.stdout]).toEqual([0, 'not utf-8\n']);
  const listed = (await fixture.run(['ls', 'latest'])).stdout.trim().split('\n');
  expect(listed).toContain('\\xff\\xfeA');
  expect(listed).toContain('new\\x0aline');
  for (const name of listed.filter((one) => !one.endsWith('/'))) {
    expect((await fixture.run(['cat', `latest:${name}`])).exitCode).toBe(0);
  }
  const { data } = await fixture.json(['ls', 'latest']);
  expect(data.entries.find((entry: { path_b64?: string }) => entry.path_b64 !== undefined)).toMatchObject({
    path: '\\xff\\xfeA',
    path_b64: Buffer.from([0xff, 0xfe, 0x41]).toString('base64'),
  });
  expect(data.entries.some((entry: { path: string }) => entry.path === 'new\nline')).toBe(true);
});

test('an older Node gets a plain sentence and exit 2', () => {
  // The check reads the version at run time, so it can be shown another one.
  const fake = join(fixture.folder, 'fake-version.cjs');
  writeFileSync(
    fake,
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } });",
  );
  const done = spawnSync(process.execPath, ['--require', fake, EDGESTORE_BIN, 'status'], {
    encoding: 'utf8',
    env: cleanEnvironment(),
  });
  expect(done.status).toBe(2);
  expect(done.stderr).toContain('needs Node.js 22.22.0 or newer, this is 20.11.0');
});

test('with a home that is missing or read-only, nothing fails', async () => {
  for (const HOME of [undefined, '/proc/nowhere'])
    expect((await fixture.run(['snapshot', 'list'], { env: { HOME } })).exitCode).toBe(0);
});

test('a second process on the data dir is told who has it: exit 11', async () => {
  const holder = spawn(process.execPath, [EDGESTORE_BIN, 'status', '--watch', '--json'], {
    env: cleanEnvironment({ EDGESTORE_DATA_DIR: fixture.dataDir }),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  holder.kill('SIGKILL');
  const lock = join(fixture.dataDir, 'lock');
  // flock from another process, as a long command would hold it.
  const flock = spawn('flock', ['-x', lock, 'sleep', '30'], { stdio: 'ignore' });
  try {
    await new Promise((resolve) => setTimeout(resolve, 300));
    writeFileSync(lock, JSON.stringify({ pid: flock.pid, command: 'edgestore sync', since: '2026-01-01T00:00:00Z' }));
    const done = await fixture.run(['snapshot', 'list']);
    expect([done.exitCode, done.stderr]).toEqual([
      11,
      expect.stringContaining(`process ${flock.pid} (edgestore sync)`),
    ]);
    expect((await fixture.json(['snapshot', 'list'], 11)).error).toMatchObject({ code: 'E_BUSY', exit: 11 });
  } finally {
    spawnSync('bash', ['-c', `kill $(ps -o pid= --ppid ${flock.pid}) ${flock.pid}`]);
  }
});
