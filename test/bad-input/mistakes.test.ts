/** The plausible mistakes at a prompt: each is named, leaves nothing behind, and says what to do next; none is taken for something else. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanEnvironment, EDGESTORE_BIN } from '../support/edgestore-process.ts';
import { makeSite, type Site, withEnvironment } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await makeSite();
});
afterAll(() => site.remove());

const asShell = (command: string, dataDir: string): ReturnType<typeof spawnSync> =>
  spawnSync('bash', ['-c', command, 'bash', process.execPath, EDGESTORE_BIN, dataDir], {
    env: cleanEnvironment(withEnvironment(site.folder, {}).env),
    encoding: 'utf8',
    timeout: 60_000,
  });

describe('a shell variable that was not set', () => {
  test.each([
    [['sync', '']],
    [['root', 'add', '']],
    [['root', 'check-ignore', '']],
    [['where', '']],
    [['find', '']],
    [['tier', 'recall', '']],
    [['restore', 'latest', '--target', '']],
    [['restore', 'latest', '--target', '/nowhere', '--include', '']],
    [['key', 'add', '--recovery-out', '']],
    [['agent', 'install', '--output', '']],
    [['snapshot', 'list', '--root', '']],
    [['status', '-c', '']],
  ])('%j does not mean the folder that the shell stands in', async (args) => {
    await site.refuses(site.vault, args, { exit: 2, code: 'E_USAGE', message: /is empty/, hint: /variable/ });
  });
});

describe('what is not there', () => {
  const cases: [string, () => string[], RegExp, RegExp][] = [
    ['a root in snapshot list', () => ['snapshot', 'list', '--root', 'nope'], /no root "nope"/, /Roots: tree/],
    ['a root in find', () => ['find', '*', '--root', 'nope'], /no root "nope"/, /Roots: tree/],
    ['a glob that matches nothing', () => ['find', '*.none'], /nothing matches "\*\.none" in one snapshot/, /names/],
    ['a glob with a path of the machine', () => ['find', `${site.tree}/a.txt`], /nothing matches/, /edgestore where/],
    ['the beginning of a chunk id', () => ['where', 'deadbeef'], /deadbeef/, /all 64 digits/],
    [
      'an --include that matches nothing',
      () => ['restore', 'latest', '--target', site.at('none'), '--include', 'nothing*'],
      /nothing.*--include nothing\*/,
      /Nothing was restored.*edgestore ls/,
    ],
    [
      'the folder of a recovery sheet',
      () => ['key', 'add', '--recovery-out', site.at('no/sheet')],
      /folder of .*sheet does not exist/,
      /Make the folder/,
    ],
  ];
  test.each(cases)('%s', async (_, args, message, hint) => {
    const { error } = await site.json(site.vault, args(), 2);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
  });

  test('an id of another root is said to be of that root', async () => {
    const { data } = await site.json(site.vault, ['snapshot', 'list']);
    const id = data.snapshots[0].id.slice(0, 12);
    await site.refuses(site.vault, ['ls', id, '--root', 'other'], {
      exit: 2,
      code: 'E_NOT_FOUND',
      message: /is of root tree of tester/,
      hint: /--root/,
    });
  });
});

describe('a file in the wrong place', () => {
  const cases: [string, () => string[], string, RegExp, RegExp][] = [
    ['a folder as token', () => ['peer', 'join', '--token-file', site.tree], 'E_USAGE', /tree is a folder/, /file/],
    [
      'a text as token',
      () => ['peer', 'join', '--token-file', join(site.tree, 'a.txt')],
      'E_USAGE',
      /does not look like/,
      /whole line/,
    ],
    [
      'a folder as recovery sheet',
      () => ['key', 'check-recovery', '--recovery-file', site.tree],
      'E_USAGE',
      /tree is a folder/,
      /file/,
    ],
    [
      'a folder as passphrase',
      () => ['key', 'add', '--new-passphrase-file', site.tree],
      'E_CONFIG',
      /tree.*is a folder/,
      /file/,
    ],
    ['a folder as configuration', () => ['config', 'validate', '-c', site.tree], 'E_CONFIG', /tree/, /is a folder/],
    ['a device as root', () => ['root', 'add', '/dev/null'], 'E_USAGE', /neither a folder nor a file/, /folder/],
    ['the data dir as root', () => ['root', 'add', site.vault], 'E_USAGE', /data dir/, /your own files/],
  ];
  test.each(cases)('%s: 2', async (_, args, code, message, hint) => {
    await site.refuses(site.vault, args(), { exit: 2, code, message, hint });
  });

  test('a data dir that is a file, or lies below one: init and doctor say so, no command ends in an errno', async () => {
    for (const place of [join(site.tree, 'a.txt'), join(site.tree, 'a.txt', 'below')]) {
      const refusal = { exit: 2, code: 'E_USAGE', message: /cannot be the data dir.*file/, hint: /--data-dir/ };
      await site.refuses(place, ['init'], refusal);
      const { data } = await site.json(place, ['doctor'], 20);
      expect(data.checks.at(-1)).toMatchObject({ result: 'problem', message: expect.stringContaining('no vault') });
    }
  });

  test('below /proc, where a folder that is there takes no new one, it ends', async () => {
    const { error } = await site.json('/proc/edgestore', ['init'], 1);
    expect(error.message).toMatch(/making the data dir \/proc\/edgestore/);
    const back = await site.json(site.vault, ['restore', 'latest', '--target', '/proc/edgestore/x'], 1);
    expect(back.error.message).toMatch(/target \/proc\/edgestore\/x/);
  });
});

test('tags and reasons that no record holds are refused before anything is read', async () => {
  const long = 'x'.repeat(5000);
  for (const [flag, args] of [
    ['--tag', ['sync', '--tag', `k=${long}`]],
    ['--reason', ['snapshot', 'pin', 'latest', '--reason', long]],
  ] as const) {
    const { error } = await site.json(site.vault, args, 2);
    expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringMatching(`^${flag}.* at most 1000`) });
  }
  expect((await site.json(site.vault, ['snapshot', 'list'])).data.snapshots).toHaveLength(1);
});

test('what a root or a vault that is there already does not take over is said', async () => {
  const dataDir = site.copy();
  await site.json(dataDir, ['root', 'add', site.tree]);
  const again = await site.json(dataDir, ['root', 'add', site.tree, '--exclude', '*.tmp', '--max-delete', '5']);
  expect(again.warnings[0].message).toMatch(/keeps its settings; --exclude, --max-delete changed nothing.*root remove/);
  expect((await site.json(dataDir, ['root', 'add', site.tree])).warnings).toEqual([]);
  const init = await site.json(dataDir, ['init', '--name', 'other', '--recovery-out', site.at('sheet-2')]);
  expect(init.warnings.map(({ message }: { message: string }) => message)).toEqual([
    expect.stringMatching(/the agent is tester/),
    expect.stringMatching(/no recovery sheet was written.*key add --recovery-out/),
  ]);
  expect((await site.json(dataDir, ['init'])).warnings).toEqual([]);
  expect(existsSync(site.at('sheet-2'))).toBe(false);
  for (const wrong of [
    ['--max-delete', '5x'],
    ['--exclude', '['],
  ])
    await site.json(dataDir, ['root', 'add', join(site.tree, 'sub'), ...wrong], 2);
});

test('--wait for copies where there is nowhere to copy to says that, not that time was short', async () => {
  for (const [level, says] of [
    ['s3', /cannot be reached: no bucket is configured to receive everything.*\[stores\.<name>\].*replication/],
    ['peers=1', /cannot be reached: there is nowhere to copy to.*peer invite.*replication/],
  ] as const) {
    const { warnings } = await site.json(site.copy(), ['sync', '--wait', level], 5);
    expect(warnings[0].message).toMatch(says);
  }
});

test('an agent that --timeout ended says so, also as JSON', async () => {
  const { error } = await site.json(site.copy(), ['agent', 'run', '--timeout', '1s'], 1);
  expect(error.code).toBe('E_TIMEOUT');
});

test('output that could not be written is a failure: a half file must not look whole', () => {
  for (const args of ['cat latest:large', 'snapshot list', 'snapshot list --json', 'ls latest --ndjson', '--version']) {
    const done = asShell(`"$1" "$2" ${args} --data-dir "$3" >/dev/full`, site.vault);
    expect([args, done.status]).toEqual([args, 15]);
    expect(done.stderr).toMatch(/no space left.*E_NO_SPACE/);
  }
});

test.runIf(process.getuid?.() === 0)('an init that was refused can be run again', () => {
  // As a user that may write below its folder and nowhere else.
  const own = site.at('own');
  mkdirSync(own);
  spawnSync('chown', ['65534:65534', own]);
  chmodSync(site.folder, 0o755);
  mkdirSync(site.at('locked'), { mode: 0o700 });
  const init = (more: string) =>
    asShell(
      `cd / && HOME=/ exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1" "$2" init --data-dir "$3" ${more}`,
      join(own, 'v'),
    );
  expect(init(`--recovery-out ${site.at('locked')}/sheet`)).toMatchObject({
    status: 14,
    stderr: expect.stringMatching(/no permission to write the recovery sheet/),
  });
  expect(init('')).toMatchObject({ status: 0 });
});

test.runIf(process.getuid?.() === 0)('doctor names what this user may not use', () => {
  const dataDir = site.copy();
  chmodSync(site.folder, 0o755);
  spawnSync('chown', ['-R', '65534:65534', dataDir]);
  chmodSync(join(dataDir, 'packs'), 0o500);
  const done = asShell(
    'cd / && HOME=/ exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1" "$2" doctor --data-dir "$3"',
    dataDir,
  );
  expect(done.status).toBe(20);
  expect(done.stdout).toMatch(/uid 65534 may not read and write .*packs/);
});

test('every command that a message names is there', () => {
  const packages = join(import.meta.dirname, '..', '..', 'packages');
  const manifest = JSON.parse(readFileSync(join(packages, 'cli', 'oclif.manifest.json'), 'utf8')) as {
    commands: Record<string, unknown>;
  };
  const ids = Object.keys(manifest.commands);
  const unknown: string[] = [];
  for (const name of ['agent', 'cli', 'engine']) {
    for (const file of readdirSync(join(packages, name, 'src'), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
      const text = readFileSync(join(packages, name, 'src', file), 'utf8');
      // As they stand in hints: after a backtick, a colon or a bracket.
      for (const [, words] of text.matchAll(/(?:`|: |\()edgestore ([a-z][a-z-]*(?: [a-z][a-z-]*)?)/g)) {
        const [first, second] = words!.split(' ');
        if (!ids.includes(first!) && !ids.includes(`${first}:${second}`)) unknown.push(`${file}: edgestore ${words}`);
      }
    }
  }
  expect(unknown).toEqual([]);
});
