/** `init`, unlocking, and the `key` commands. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cleanEnvironment, EDGESTORE_BIN } from '../support/edgestore-process.ts';
import { type Fixture, makeFixture } from './fixture.ts';

let fixture: Fixture;
beforeEach(() => {
  fixture = makeFixture();
});
afterEach(() => fixture.remove());
const at = (name: string): string => join(fixture.folder, name);
const passphraseFile = (text: string): string => {
  writeFileSync(at('passphrase'), text, { mode: 0o600 });
  return at('passphrase');
};

describe('init', () => {
  test('makes a vault; its secrets are 0600 and in no output; again says so and changes nothing', async () => {
    const { data } = await fixture.json(['init', '--name', 'till-3', '--site', 'shop', '--recovery-out', at('sheet')]);
    expect(data).toMatchObject({
      created: true,
      name: 'till-3',
      site: 'shop',
      stored_key: true,
      recovery_out: at('sheet'),
    });
    for (const file of [at('sheet'), join(fixture.dataDir, 'key'), join(fixture.dataDir, 'agent', 'identity.edge')]) {
      expect([file, statSync(file).mode & 0o777]).toEqual([file, 0o600]);
    }
    expect(statSync(fixture.dataDir).mode & 0o777).toBe(0o700);
    const words = readFileSync(at('sheet'), 'utf8')
      .match(/^code .*: (.*)$/m)![1]!
      .split(' ');
    const again = await fixture.run(['init', '--name', 'other']);
    expect(again.exitCode).toBe(0);
    expect(again.stdout).toContain('Already');
    const document = await fixture.json(['init']);
    expect(document.data).toMatchObject({ created: false, vault: data.vault, agent: data.agent, name: 'till-3' });
    expect(JSON.stringify(document)).not.toContain(words[0]);
  });

  test('without a terminal and without --recovery-out nothing secret is printed, and the way to get the sheet is named', async () => {
    const done = await fixture.run(['init']);
    expect(done.exitCode).toBe(0);
    expect(done.stdout + done.stderr).not.toMatch(/^code \d/m);
    expect(done.stderr).toContain('key add --recovery-out');
    expect((await fixture.json(['key', 'add', '--recovery-out', at('later')])).data.recovery_out).toBe(at('later'));
    expect((await fixture.run(['key', 'check-recovery', '--recovery-file', at('later')])).exitCode).toBe(0);
  });

  test('on a terminal the sheet is shown once', () => {
    const script = `import os, pty, sys
out = b''
def read(fd):
    global out
    data = os.read(fd, 4096); out += data; return data
status = pty.spawn(sys.argv[1:], read)
sys.exit(os.waitstatus_to_exitcode(status))`;
    const init = (): string =>
      spawnSync('python3', ['-c', script, process.execPath, EDGESTORE_BIN, 'init', '--data-dir', fixture.dataDir], {
        env: cleanEnvironment({ HOME: fixture.folder }),
        encoding: 'utf8',
        input: '',
      }).stdout;
    expect(init()).toMatch(/EDGESTORE RECOVERY SHEET[\s\S]*code 01-05: [0-9A-Z]{5} /);
    expect(init()).not.toMatch(/code 01/);
  });

  test('refuses what would lose something: a sheet or folder that is there, a name that is none', async () => {
    writeFileSync(at('sheet'), 'mine');
    expect((await fixture.json(['init', '--recovery-out', at('sheet')], 2)).error.message).toContain('exists already');
    expect(existsSync(join(fixture.dataDir, 'vault.edge'))).toBe(false);
    expect((await fixture.json(['init', '--data-dir', fixture.tree], 2)).error.message).toContain('not empty');
    expect((await fixture.json(['init', '--name', 'a b'], 2)).error.code).toBe('E_USAGE');
    expect((await fixture.json(['init', '--recovery-out', at('no/folder')], 2)).error.message).toContain(
      'does not exist',
    );
    expect((await fixture.json(['init', '-n'])).data).toMatchObject({ created: false, dry_run: true });
    expect(existsSync(fixture.dataDir)).toBe(false);
  });

  test('goes on after one that was killed half way', async () => {
    await fixture.json(['init', '--recovery-out', at('first')]);
    unlinkSync(join(fixture.dataDir, 'vault.edge'));
    expect((await fixture.json(['init'], 2)).error.message).toContain('not empty');
    writeFileSync(join(fixture.dataDir, 'init.unfinished'), '');
    expect((await fixture.json(['init', '--recovery-out', at('second')])).data.created).toBe(true);
    expect((await fixture.run(['sync', fixture.tree])).exitCode).toBe(0);
  });
});

describe('unlocking', () => {
  test('with --no-stored-key, a passphrase from a file, a command, a credential or the environment', async () => {
    expect((await fixture.json(['init', '--no-stored-key', '--no-input'], 2)).error.message).toContain(
      'something else',
    );
    const file = passphraseFile('correct horse\n');
    await fixture.json(['init', '--no-stored-key', '--recovery-out', at('s')], 0, {
      env: { EDGESTORE_PASSPHRASE_FILE: file },
    });
    expect(existsSync(join(fixture.dataDir, 'key'))).toBe(false);
    const none = await fixture.json(['status'], 12);
    expect(none.error.hint).toContain('EDGESTORE_PASSPHRASE_FILE');
    const works = [
      { EDGESTORE_PASSPHRASE_FILE: file },
      { EDGESTORE_PASSPHRASE_COMMAND: 'echo "correct horse"' },
      { CREDENTIALS_DIRECTORY: fixture.folder, EDGESTORE_PASSPHRASE_FILE: undefined },
    ];
    copyFileSync(file, at('edgestore-passphrase'));
    for (const env of works) {
      const done = await fixture.run(['root', 'list'], { env });
      expect([done.exitCode, done.stderr]).toEqual([0, '']);
    }
    const inEnvironment = await fixture.run(['root', 'list'], { env: { EDGESTORE_PASSPHRASE: 'correct horse' } });
    expect([inEnvironment.exitCode, inEnvironment.stderr]).toEqual([0, expect.stringContaining('warning')]);
  });

  test('wrong, empty, missing and failing ones are told apart', async () => {
    await fixture.json(['init', '--no-stored-key', '--recovery-out', at('s')], 0, {
      env: { EDGESTORE_PASSPHRASE_FILE: passphraseFile('right') },
    });
    const wrong = await fixture.json(['status'], 12, {
      env: { EDGESTORE_PASSPHRASE_FILE: passphraseFile('Hunter2!') },
    });
    expect(wrong.error).toMatchObject({ code: 'E_WRONG_KEY', message: 'wrong passphrase' });
    expect(JSON.stringify(wrong)).not.toContain('Hunter2');
    expect(
      (await fixture.json(['status'], 2, { env: { EDGESTORE_PASSPHRASE_FILE: at('none') } })).error.message,
    ).toContain(at('none'));
    const failing = await fixture.json(['status'], 2, { env: { EDGESTORE_PASSPHRASE_COMMAND: 'echo s3cret; exit 7' } });
    expect(failing.error.message).toContain('ended with 7');
    expect(JSON.stringify(failing)).not.toContain('s3cret');
  });

  test('a stored key wins over EDGESTORE_PASSPHRASE, without a warning', async () => {
    await fixture.json(['init', '--recovery-out', at('s')]);
    const done = await fixture.run(['root', 'list'], { env: { EDGESTORE_PASSPHRASE: 'anything' } });
    expect([done.exitCode, done.stderr]).toEqual([0, '']);
  });

  test('a key file is made 0600, and refused when others can read it, when it is a link, damaged or another', async () => {
    await fixture.json(['init', '--no-stored-key', '--key-file', at('my.key'), '--recovery-out', at('s')]);
    const key = at('my.key');
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const list = (file: string, exit: number) => fixture.json(['key', 'list', '--key-file', file], exit);
    expect((await list(key, 0)).data.slots.map((slot: { type: string }) => slot.type).sort()).toEqual([
      'keyfile',
      'recovery',
    ]);
    expect((await fixture.json(['key', 'list'], 0, { env: { EDGESTORE_KEY_FILE: key } })).warnings).toEqual([]);
    chmodSync(key, 0o644);
    expect((await list(key, 2)).error.hint).toContain('chmod 600');
    chmodSync(key, 0o600);
    symlinkSync(key, at('link'));
    expect((await list(at('link'), 2)).error.message).toContain('symbolic link');
    expect((await list(at('none'), 2)).error.message).toContain('no key file');
    const text = readFileSync(key, 'utf8');
    writeFileSync(
      at('flipped'),
      text.replace(/:(.)/, (_, c: string) => `:${c === 'A' ? 'B' : 'A'}`),
      { mode: 0o600 },
    );
    expect((await list(at('flipped'), 7)).error.message).toContain('damaged');
    await fixture.json([
      'init',
      '--data-dir',
      at('other'),
      '--no-stored-key',
      '--key-file',
      at('other.key'),
      '--recovery-out',
      at('s2'),
    ]);
    expect((await list(at('other.key'), 12)).error.code).toBe('E_WRONG_KEY');
  });

  test('a damaged slot is no wrong passphrase', async () => {
    const env = { EDGESTORE_PASSPHRASE_FILE: passphraseFile('right') };
    await fixture.json(['init', '--no-stored-key', '--recovery-out', at('s')], 0, { env });
    const slots = join(fixture.dataDir, 'slots');
    for (const name of readdirSync(slots)) {
      const bytes = readFileSync(join(slots, name));
      bytes[150]! ^= 1;
      writeFileSync(join(slots, name), bytes);
    }
    expect((await fixture.json(['status'], 7, { env })).error.code).toBe('E_INTEGRITY');
    expect((await fixture.json(['doctor'], 20, { env })).data.problems).toBeGreaterThan(0);
  });
});

describe('key', () => {
  beforeEach(() => fixture.json(['init', '--recovery-out', at('sheet')]));

  test('add, list and remove', async () => {
    const added = await fixture.json([
      'key',
      'add',
      '--new-passphrase-file',
      passphraseFile('second way'),
      '--label',
      'office',
    ]);
    expect(added.data).toMatchObject({ type: 'passphrase', label: 'office' });
    await fixture.json(['key', 'add', '--new-key-file', at('extra.key')]);
    expect((await fixture.run(['key', 'list'])).stdout).toMatch(/office/);
    unlinkSync(join(fixture.dataDir, 'key'));
    const env = { EDGESTORE_PASSPHRASE_FILE: at('passphrase') };
    expect((await fixture.json(['key', 'list'], 0, { env })).data.slots).toHaveLength(4);
    const withKey = ['--key-file', at('extra.key')];
    expect((await fixture.json(['key', 'remove', added.data.slot.slice(0, 8), ...withKey], 2)).error.hint).toContain(
      '--yes',
    );
    expect((await fixture.json(['key', 'remove', added.data.slot.slice(0, 8), '-n', ...withKey])).data.dry_run).toBe(
      true,
    );
    expect((await fixture.json(['key', 'remove', added.data.slot.slice(0, 8), '--yes', ...withKey])).data.slot).toBe(
      added.data.slot,
    );
    expect((await fixture.json(['key', 'list'], 12, { env })).error.code).toBe('E_WRONG_KEY');
  });

  test('with the stored key gone or damaged the recovery sheet opens the data dir, and stores a new key', async () => {
    const stored = join(fixture.dataDir, 'key');
    const bytes = readFileSync(stored);
    const sheet = ['--key-file', at('sheet')];
    for (const change of [() => unlinkSync(stored), () => writeFileSync(stored, `x${bytes}`)]) {
      change();
      const lost = await fixture.run(['root', 'list']);
      expect([7, 12]).toContain(lost.exitCode);
      expect(lost.stderr).toContain('--key-file SHEET');
      expect((await fixture.run(['root', 'list', ...sheet])).exitCode).toBe(0);
      if (existsSync(stored)) {
        expect((await fixture.json(['key', 'add', '--stored-key', ...sheet], 2)).error.hint).toContain('move it away');
        unlinkSync(stored);
      }
      await fixture.json(['key', 'add', '--stored-key', ...sheet]);
      expect((await fixture.run(['root', 'list'])).exitCode).toBe(0);
    }
    const text = readFileSync(at('sheet'), 'utf8');
    const [word = ''] = /(?<=code 01-05: )\w+/.exec(text)!;
    writeFileSync(at('wrong'), text.replace(word, word === 'abandon' ? 'zoo' : 'abandon'), { mode: 0o600 });
    const wrong = await fixture.json(['root', 'list', '--key-file', at('wrong')], 2);
    expect(wrong.error.message).toContain(at('wrong'));
    chmodSync(at('sheet'), 0o644);
    expect((await fixture.json(['root', 'list', ...sheet], 2)).error.hint).toContain('chmod 600');
  });

  test('neither the recovery slot nor the last other one can be removed; unknown ones are not found', async () => {
    const { data } = await fixture.json(['key', 'list']);
    for (const slot of data.slots)
      expect((await fixture.json(['key', 'remove', slot.id, '-y'], 2)).error.code).toBe('E_USAGE');
    expect((await fixture.json(['key', 'remove', 'ffffffffffffffffffff', '-y'], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await fixture.json(['key', 'add', '--no-input'], 2)).error.hint).toContain('--new-passphrase-file');
    expect((await fixture.json(['key', 'add', '--stored-key'], 2)).error.message).toContain('already');
  });

  test('check-recovery: right, from stdin, mistyped, of another vault, missing', async () => {
    const sheet = readFileSync(at('sheet'), 'utf8');
    expect((await fixture.json(['key', 'check-recovery', '--recovery-file', at('sheet')])).data.valid).toBe(true);
    const words = [...sheet.matchAll(/^code .*: (.*)$/gm)].map((match) => match[1]).join(' ');
    expect((await fixture.run(['key', 'check-recovery'], { stdin: words.toLowerCase() })).exitCode).toBe(0);
    const mistyped = words.replace(/^(.)/, (c) => (c === 'Z' ? 'Y' : 'Z'));
    const error = (await fixture.json(['key', 'check-recovery'], 2, { stdin: mistyped })).error;
    expect(error.message).toContain('word 1');
    await fixture.json(['init', '--data-dir', at('other'), '--recovery-out', at('sheet2')]);
    expect((await fixture.json(['key', 'check-recovery', '--recovery-file', at('sheet2')], 12)).error.code).toBe(
      'E_WRONG_KEY',
    );
    expect((await fixture.json(['key', 'check-recovery'], 2, { stdin: '' })).error.hint).toContain('--recovery-file');
  });
});
