/** Wrong requests: what does not exist, what must not be overwritten, wrong configurations, wrong secrets. Nothing is changed by any of them. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanEnvironment, EDGESTORE_BIN } from '../support/edgestore-process.ts';
import { contentsOf, makeSite, type Site, withEnvironment } from './site.ts';

const PASSPHRASE = 'correct horse battery staple';
let site: Site;
let passphraseFile: string;
let unlocked: { readonly env: Record<string, string> };
/** Unlocked by a passphrase, with several snapshots. */
beforeAll(async () => {
  site = await makeSite();
  passphraseFile = site.at('passphrase');
  writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  unlocked = { env: { EDGESTORE_PASSPHRASE_FILE: passphraseFile } };
  site.keepSecret(PASSPHRASE);
});
afterAll(() => site.remove());

describe('snapshots and targets', () => {
  const cases: [string, () => string[], string, RegExp, RegExp][] = [
    [
      'no such snapshot',
      () => ['restore', 'deadbeef', '--target', site.at('x')],
      'E_NOT_FOUND',
      /deadbeef/,
      /snapshot list/,
    ],
    ['no such path', () => ['ls', 'latest:sub/gone'], 'E_NOT_FOUND', /no gone in sub/, /edgestore ls/],
    [
      'a target that is not empty',
      () => ['restore', 'latest', '--target', site.tree],
      'E_TARGET_NOT_EMPTY',
      /not empty.*tree/,
      /empty|--in-place/,
    ],
    [
      'a target in the data dir',
      () => ['restore', 'latest', '--target', join(site.vault, 'packs', 'x')],
      'E_USAGE',
      /vault/,
      /another folder/,
    ],
    [
      'a target through a link into the data dir',
      () => ['restore', 'latest', '--target', join(site.at('link'), 'x')],
      'E_USAGE',
      /vault/,
      /another folder/,
    ],
    ['/ as the target', () => ['restore', 'latest', '--target', '/'], 'E_USAGE', /into \/ is refused/, /empty folder/],
    ['a missing source', () => ['sync', site.at('gone')], 'E_NOT_FOUND', /gone/, /./],
  ];
  test.each(cases)('%s: 2', async (_, args, code, message, hint) => {
    symlinkSync(site.vault, site.at('link'));
    try {
      await site.refuses(site.vault, args(), { exit: 2, code, message, hint });
    } finally {
      rmSync(site.at('link'));
    }
  });

  test('an ambiguous prefix lists the candidates: 2', async () => {
    const dataDir = site.copy();
    const ids: string[] = [];
    const shared = (): string | undefined =>
      [...'0123456789abcdef'].find((digit) => ids.filter((id) => id.startsWith(digit)).length > 1);
    while (shared() === undefined) {
      await site.json(dataDir, ['sync', '--tag', `n=${ids.length}`]);
      const { data } = await site.json(dataDir, ['snapshot', 'list']);
      ids.splice(0, ids.length, ...data.snapshots.map((snapshot: { id: string }) => snapshot.id));
    }
    const candidates = ids.filter((id) => id.startsWith(shared()!));
    const { error } = await site.refuses(dataDir, ['ls', shared()!], {
      exit: 2,
      code: 'E_AMBIGUOUS',
      message: new RegExp(`begin with ${shared()}`),
      hint: /more of the id/,
    });
    for (const id of candidates) expect(error.message).toContain(id.slice(0, 8));
  });

  test('after all of them the acknowledged snapshot restores', async () => {
    await site.restores(site.vault);
  });
});

describe('configuration', () => {
  const config = (): string => site.at('bad.toml');
  test('all errors at once, each with file, line and the nearest name; nothing else runs', async () => {
    writeFileSync(
      config(),
      '[agent]\nnmae = "x"\nlisten = 7\n[[roots]]\nname = "a"\npth = "/x"\n[limits]\nupload = 10\n[replcation.default]\ncopies = 1\n',
    );
    for (const args of [['config', 'validate'], ['sync']]) {
      const { error } = await site.refuses(site.vault, [...args, '-c', config()], {
        exit: 2,
        code: 'E_CONFIG',
        message: /problems in the configuration/,
        hint: /config validate/,
      });
      for (const line of [
        'bad.toml:2: agent.nmae: is not a known key; did you mean "name"?',
        'bad.toml:3: agent.listen:',
        'bad.toml:6: roots[0].pth: is not a known key; did you mean "path"?',
        'bad.toml:8: limits.upload:',
        'bad.toml:9: replcation: is not a known key; did you mean "replication"?',
      ])
        expect(error.message).toContain(line);
      expect(error.details.problems.find(({ key }: { key: string }) => key === 'agent.nmae')).toMatchObject({
        line: 2,
        nearest: 'name',
      });
    }
  });

  test.each([
    ['no TOML', '[agent\n', /bad\.toml:1/],
    ['the same key twice', '[agent]\nname = "a"\nname = "b"\n', /bad\.toml:3/],
    ['a wrong type', '[[roots]]\nname = "r"\npath = ["/"]\n', /bad\.toml:3.*path/],
    [
      'hot, warm and cold in the wrong order',
      '[stores.s]\nurl = "s3://bucket/p"\n[tiering.default]\nhot = "90d"\nwarm = "1d"\ncold = "s"\n',
      /warm|hot/,
    ],
    ['a store that is not there', '[tiering.default]\ncold = "nowhere"\n', /nowhere/],
    ['zeros', '\0\0\0\0', /bad\.toml:1/],
    ['too large', `# ${'x'.repeat(11 * 1024 * 1024)}`, /bad\.toml/],
  ])('%s: 2', async (_, text, message) => {
    writeFileSync(config(), text);
    const { error } = await site.json(site.vault, ['snapshot', 'list', '-c', config()], 2);
    expect(error).toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
  });

  test('a file that is not there, and an error in conf.d', async () => {
    await site.refuses(site.vault, ['ls', 'latest', '-c', site.at('none.toml')], {
      exit: 2,
      code: 'E_CONFIG',
      message: /none\.toml/,
      hint: /--config/,
    });
    const dataDir = site.copy();
    writeFileSync(join(dataDir, 'conf.d', 'z.toml'), '[agent]\nsiet = "x"\n');
    const { error } = await site.json(dataDir, ['sync'], 2);
    expect(error.message).toMatch(/conf\.d\/z\.toml:2: agent\.siet.*"site"/);
    rmSync(join(dataDir, 'conf.d', 'z.toml'));
    await site.restores(dataDir);
  });
});

describe('secrets', () => {
  test('a wrong passphrase is 12, the right one still opens; a damaged slot would be 7', async () => {
    const dataDir = site.copy();
    await site.json(dataDir, ['key', 'add', '--new-passphrase-file', passphraseFile]);
    renameSync(join(dataDir, 'key'), site.at('moved.key'));
    const wrong = site.at('wrong');
    writeFileSync(wrong, 'Tr0ub4dor&3', { mode: 0o600 });
    site.keepSecret('Tr0ub4dor&3');
    await site.refuses(
      dataDir,
      ['ls', 'latest'],
      { exit: 12, code: 'E_WRONG_KEY', message: /wrong passphrase/, hint: /key list/ },
      { env: { EDGESTORE_PASSPHRASE_FILE: wrong } },
    );
    const none = await site.json(dataDir, ['ls', 'latest', '--no-input'], 12);
    expect(none.error.hint).toContain('EDGESTORE_PASSPHRASE_FILE');
    await site.restores(dataDir, unlocked);

    const key = site.at('moved.key');
    await site.restores(dataDir, { args: ['--key-file', key] });
    chmodSync(key, 0o644);
    await site.refuses(dataDir, ['ls', 'latest', '--key-file', key], {
      exit: 2,
      code: 'E_CONFIG',
      message: /moved\.key can be read by others \(mode 0644\)/,
      hint: /chmod 600/,
    });
    chmodSync(key, 0o600);
    symlinkSync(key, site.at('linked.key'));
    const linked = await site.json(dataDir, ['ls', 'latest', '--key-file', site.at('linked.key')], 2);
    expect(linked.error.message).toMatch(/linked\.key.*symbolic link/);
  });

  test('a recovery code with a typo: 2, with the word; of another vault: 12', async () => {
    const sheet = readFileSync(site.sheet, 'utf8');
    const typo = site.at('typo');
    // The seventh word, one letter wrong.
    writeFileSync(
      typo,
      sheet.replace(/(code 06-10: \S+ )(\S)/, (_, a: string, c: string) => a + (c === 'Z' ? 'Y' : 'Z')),
    );
    await site.refuses(site.vault, ['key', 'check-recovery', '--recovery-file', typo], {
      exit: 2,
      code: 'E_USAGE',
      message: /word 7/,
      hint: /./,
    });
    await site.refuses(site.at('new'), ['recover', '--from', `file://${site.folder}`, '--recovery-file', typo], {
      exit: 2,
      code: 'E_USAGE',
      message: /word 7/,
      hint: /./,
    });
  });

  test.each([['--passphrase=hunter2'], ['--key=hunter2'], ['--password', 'hunter2'], ['s3://id:hunter2@bucket/p']])(
    'on the command line (%s): refused with the safe way, and not repeated',
    async (...args) => {
      const done = await site.run(site.vault, ['sync', ...args]);
      expect(done.exitCode).toBe(2);
      expect(done.stderr).toMatch(/never taken from the command line|no flag --key/);
      expect(done.stderr + done.stdout).not.toContain('hunter2');
    },
  );
});

describe('the data dir', () => {
  test('none: 10', async () => {
    for (const args of [['sync', site.tree], ['scrub'], ['agent', 'run']]) {
      const { error } = await site.json(site.at('nowhere'), args, 10);
      expect(error).toMatchObject({
        code: 'E_NO_VAULT',
        message: expect.stringContaining(site.at('nowhere')),
        hint: expect.stringContaining('init'),
      });
    }
  });

  test('held by another process: 11 with the holder; free again when that ends', async () => {
    const dataDir = site.copy();
    const lock = join(dataDir, 'lock');
    // Locks the file itself, as a long command would, and ends with its standard input.
    const holder = spawn('flock', ['-x', lock, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    holder.stdin.write('held\n');
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    writeFileSync(lock, JSON.stringify({ pid: holder.pid, command: 'edgestore sync', since: '2026-01-01T00:00:00Z' }));
    await site.refuses(dataDir, ['sync'], {
      exit: 11,
      code: 'E_BUSY',
      message: new RegExp(`process ${holder.pid} \\(edgestore sync\\)`),
      hint: /./,
    });
    const ended = new Promise((resolve) => holder.once('exit', resolve));
    holder.stdin.end();
    await ended;
    await site.restores(dataDir);
  });

  test('that is a file, or holds something else: refused, and left as it was', async () => {
    const file = site.at('a file');
    writeFileSync(file, '');
    const { error } = await site.json(file, ['sync'], 10);
    expect(error.message).toContain(file);
    cpSync(site.tree, site.at('other folder'), { recursive: true });
    expect((await site.json(site.at('other folder'), ['init'], 2)).error.message).toContain('not empty');
    const left = contentsOf(site.at('other folder'));
    left.delete('lock');
    expect(left).toEqual(contentsOf(site.tree));
  });
});

test.each([['ls latest --recursive'], ['cat latest:large'], ['snapshot list --json'], ['--help']])(
  'whoever reads `%s` may leave early',
  (command) => {
    const script = `"${process.execPath}" "${EDGESTORE_BIN}" ${command} | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`;
    const env = cleanEnvironment(withEnvironment(site.folder, { env: { EDGESTORE_DATA_DIR: site.vault } }).env);
    const done = spawnSync('bash', ['-c', script], { env, encoding: 'utf8' });
    expect(done.stderr).not.toMatch(/EPIPE|\n\s+at /);
    expect(done.stdout.trim()).toBe('0');
  },
);
