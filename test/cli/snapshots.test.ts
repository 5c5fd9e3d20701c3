/** `sync`, `restore`, what looks into snapshots, and roots: success and error, as text and as JSON. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { differences, manifestOf } from '../oracle/manifest.ts';
import { cleanEnvironment, EDGESTORE_BIN } from '../support/edgestore-process.ts';
import { type Fixture, type JsonDocument, makeFixture, makeVaultFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await makeVaultFixture();
});
afterAll(() => fixture.remove());
const isRoot = process.getuid?.() === 0;
const at = (name: string): string => join(fixture.folder, name);

describe('sync', () => {
  test('reports files, bytes and chunks; a path that is no root became an unwatched root', async () => {
    const { data } = await fixture.json(['sync']);
    expect(data.roots[0]).toMatchObject({
      root: 'tree',
      snapshot: expect.stringMatching(/^[0-9a-f]{64}$/),
      files: { new: 0, changed: 0, unchanged: 4, removed: 0, failed: 0 },
      // Just written files are read again (the racy-recent rule), and found to be known.
      bytes: { scanned: expect.any(Number), read: expect.any(Number), new: 0, stored: 0 },
      chunks: { new: 0, reused: expect.any(Number) },
      durability: 'local',
      failures: [],
      duration_s: expect.any(Number),
    });
    expect((await fixture.json(['root', 'list'])).data.roots).toMatchObject([
      { name: 'tree', path: fixture.tree, watch: false },
    ]);
    expect((await fixture.run(['sync'])).stdout).toMatch(/tree: snapshot [0-9a-f]{8}/);
  });

  test('a dry run writes nothing', async () => {
    const before = (await fixture.json(['snapshot', 'list'])).data.snapshots.length;
    writeFileSync(join(fixture.tree, 'dry'), 'x');
    const { data } = await fixture.json(['sync', '-n']);
    expect(data).toMatchObject({ dry_run: true, roots: [{ snapshot: null, files: { new: 1 } }] });
    rmSync(join(fixture.tree, 'dry'));
    expect((await fixture.json(['snapshot', 'list'])).data.snapshots).toHaveLength(before);
    mkdirSync(at('not a root'));
    expect((await fixture.run(['sync', '-n', at('not a root')])).exitCode).toBe(0);
    expect((await fixture.json(['root', 'list'])).data.roots).toHaveLength(1);
  });

  test('missing source, no roots, the data dir itself, too few copies', async () => {
    expect((await fixture.json(['sync', at('gone')], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await fixture.json(['sync', fixture.dataDir], 2)).error.code).toBe('E_USAGE');
    expect((await fixture.json(['sync', '--wait', 'peers=1'], 5)).data.roots[0]).toMatchObject({
      durability: 'local',
      copies: { peers: [] },
    });
    expect((await fixture.run(['sync', '--wait', 'sites=1'])).exitCode).toBe(5);
    const other = makeFixture();
    await other.json(['init', '--recovery-out', join(other.folder, 's')]);
    expect((await other.json(['sync'], 2)).error.hint).toContain('root add');
    other.remove();
  });

  test('an emptied root is no mass deletion: exit 21 and no snapshot, until it is allowed', async () => {
    const other = await makeVaultFixture();
    rmSync(other.tree, { recursive: true });
    mkdirSync(other.tree);
    expect((await other.json(['sync'], 21)).error.code).toBe('E_DELETE_GUARD');
    expect((await other.json(['snapshot', 'list'])).data.snapshots).toHaveLength(1);
    expect((await other.json(['sync', '--max-delete', '100%'])).data.roots[0].files.removed).toBe(4);
    other.remove();
  });

  test('an unreadable file is named: exit 3', async () => {
    const other = makeFixture();
    chmodSync(join(other.tree, 'a.txt'), 0);
    const asUser = (...args: string[]) => {
      // Root reads everything, so that it becomes somebody else first.
      const [program, ...before] = isRoot
        ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath]
        : [process.execPath];
      const env = cleanEnvironment({ EDGESTORE_DATA_DIR: other.dataDir, HOME: other.folder });
      return spawnSync(program!, [...before, EDGESTORE_BIN, ...args], { env, encoding: 'utf8' });
    };
    if (isRoot) spawnSync('chown', ['-R', '65534:65534', other.folder]);
    expect(asUser('init', '--recovery-out', join(other.folder, 's')).status).toBe(0);
    const done = asUser('sync', other.tree, '--json');
    expect(done.status).toBe(3);
    expect((JSON.parse(done.stdout) as JsonDocument).data).toMatchObject({
      roots: [{ files: { failed: 1 }, failures: [{ path: 'a.txt', code: 'EACCES' }] }],
    });
    expect(asUser('sync').stdout).toContain('a.txt');
    other.remove();
  });

  test('several roots: one that fails does not stop the others, and gives the exit code', async () => {
    const other = await makeVaultFixture();
    mkdirSync(join(other.folder, 'second'));
    writeFileSync(join(other.folder, 'second', 'f'), 'f');
    await other.json(['sync', join(other.folder, 'second')]);
    rmSync(other.tree, { recursive: true });
    const { data } = await other.json(['sync'], 2);
    expect(
      data.roots.map((root: { root: string; snapshot: string | null }) => [root.root, root.snapshot === null]),
    ).toEqual([
      ['second', false],
      ['tree', true],
    ]);
    other.remove();
  });

  test('tags are kept', async () => {
    await fixture.json(['sync', '--tag', 'why=test', '--tag', 'who=me']);
    expect((await fixture.json(['snapshot', 'show', 'latest'])).data.snapshot.tags).toEqual({ why: 'test', who: 'me' });
  });
});

describe('restore', () => {
  test('into an absent and into an empty folder, whole and in part, exactly', async () => {
    const expected = manifestOf(fixture.tree);
    const { data } = await fixture.json(['restore', 'latest', '--target', at('whole')]);
    expect(data).toMatchObject({
      snapshot: expect.stringMatching(/^[0-9a-f]{64}$/),
      root: 'tree',
      target: at('whole'),
      files: { restored: 4, skipped: 0, failed: 0 },
      bytes: { written: expect.any(Number), from: { local: expect.any(Number), peers: 0, s3: 0 } },
      failures: [],
      pending_thaw: 0,
    });
    expect(differences(expected, manifestOf(at('whole')))).toEqual([]);
    mkdirSync(at('empty'));
    expect((await fixture.run(['restore', 'latest:sub', '--target', at('empty')])).stdout).toContain('restored to');
    expect(readFileSync(at('empty/b.txt'), 'utf8')).toBe('below\n');
    await fixture.json(['restore', 'latest', '--target', at('filtered'), '--include', '*.txt', '--exclude', 'sub']);
    expect(readdirSync(at('filtered'))).toEqual(['a.txt']);
  });

  test('an estimate and a dry run write nothing', async () => {
    for (const flag of ['--estimate', '-n']) {
      expect((await fixture.json(['restore', 'latest', flag, '--target', at('never')])).data).toMatchObject({
        estimate: true,
        files: { restored: 4 },
      });
    }
    expect((await fixture.json(['restore', 'latest', '--estimate'])).data.estimate).toBe(true);
    expect(existsSync(at('never'))).toBe(false);
  });

  test('in place, by its modes', async () => {
    const file = join(fixture.tree, 'a.txt');
    writeFileSync(file, 'changed here');
    const restore = (...flags: string[]) => fixture.json(['restore', 'latest', '--in-place', ...flags]);
    expect((await restore('--overwrite', 'never')).data.files).toMatchObject({ restored: 0 });
    expect(readFileSync(file, 'utf8')).toBe('changed here');
    await restore('--overwrite', 'if-changed');
    expect(readFileSync(file, 'utf8')).toBe('hello\n');
    writeFileSync(join(fixture.tree, 'extra'), 'x');
    expect(
      (await fixture.json(['restore', 'latest', '--in-place', '--overwrite', 'always', '--delete'], 2)).error.hint,
    ).toContain('--yes');
    expect((await restore('--overwrite', 'always', '--delete', '--yes')).data.removed).toBe(1);
    expect(existsSync(join(fixture.tree, 'extra'))).toBe(false);
  });

  test('refuses what it must: no such snapshot, a target that is not empty, the data dir, the root folder', async () => {
    expect((await fixture.json(['restore', 'ffffffff', '--target', at('x')], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await fixture.json(['restore', 'nonsense', '--target', at('x')], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await fixture.json(['restore', 'latest:no/such', '--target', at('x')], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await fixture.json(['restore', 'latest:../etc', '--target', at('x')], 2)).error.code).toBe('E_USAGE');
    expect((await fixture.json(['restore', 'latest', '--target', fixture.tree], 2)).error.code).toBe(
      'E_TARGET_NOT_EMPTY',
    );
    expect((await fixture.json(['restore', 'latest', '--target', join(fixture.dataDir, 'x')], 2)).error.code).toBe(
      'E_USAGE',
    );
    expect((await fixture.json(['restore', 'latest', '--target', '/'], 2)).error.code).toBe('E_USAGE');
    expect((await fixture.json(['restore', 'latest', '--target', at('x'), '--from', 's3'], 2)).error.code).toBe(
      'E_USAGE',
    );
    expect(
      (await fixture.json(['restore', 'latest', '--target', at('x'), '--overwrite', 'always'], 2)).error.code,
    ).toBe('E_USAGE');
    expect((await fixture.json(['restore', 'latest', '--at', '2001-01-01', '--target', at('x')], 2)).error.code).toBe(
      'E_NOT_FOUND',
    );
    expect((await fixture.json(['restore', 'latest', '--at', 'soon', '--target', at('x')], 2)).error.code).toBe(
      'E_USAGE',
    );
    expect(existsSync(at('x'))).toBe(false);
  });
});

describe('looking into snapshots', () => {
  test('list, show, unique and ambiguous prefixes, latest', async () => {
    const { snapshots } = (await fixture.json(['snapshot', 'list'])).data;
    const [first] = snapshots;
    expect(first).toMatchObject({
      root: 'tree',
      agent_name: 'tester',
      incarnation: 1,
      files: 4,
      failed: 0,
      pinned: null,
      parent: null,
    });
    expect((await fixture.json(['snapshot', 'show', first.id.slice(0, 12)])).data.snapshot.id).toBe(first.id);
    expect((await fixture.json(['snapshot', 'show', 'latest'])).data.snapshot.id).toBe(snapshots.at(-1).id);
    expect((await fixture.run(['snapshot', 'list'])).stdout).toContain(first.id.slice(0, 8));
    expect((await fixture.run(['snapshot', 'show', first.id])).stdout).toContain('incarnation 1');
    expect((await fixture.json(['snapshot', 'list', '--root', 'none'], 2)).error.hint).toContain('tree');
    expect((await fixture.json(['snapshot', 'list', '--agent', 'nobody'], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await fixture.json(['snapshot', 'show', 'latest', '--root', 'none'], 2)).error.hint).toContain('tree');
    // Sooner or later two ids begin with the same digit.
    const digits = snapshots.map((one: { id: string }) => one.id[0]);
    const twice = digits.find((digit: string, i: number) => digits.indexOf(digit) !== i);
    if (twice !== undefined) {
      const ambiguous = await fixture.json(['snapshot', 'show', twice], 2);
      expect(ambiguous.error).toMatchObject({ code: 'E_AMBIGUOUS', details: { candidates: expect.any(Array) } });
    }
  });

  test('with several roots, `latest` has to say of which', async () => {
    const other = await makeVaultFixture();
    mkdirSync(join(other.folder, 'second'));
    await other.json(['sync', join(other.folder, 'second')]);
    const { error } = await other.json(['restore', 'latest', '--target', join(other.folder, 'x')], 2);
    expect(error).toMatchObject({ code: 'E_AMBIGUOUS', details: { roots: ['second', 'tree'] } });
    const done = await other.run(['ls', 'latest', '--root', 'tree']);
    expect(done.stdout).toContain('a.txt');
    expect(done.stderr).toMatch(/latest is [0-9a-f]{8} of tree/);
    other.remove();
  });

  test('pin and unpin, again is no error', async () => {
    expect((await fixture.json(['snapshot', 'pin', 'latest', '--reason', 'keep', '-n'])).data).toMatchObject({
      changed: true,
      dry_run: true,
    });
    expect((await fixture.json(['snapshot', 'pin', 'latest', '--reason', 'keep'])).data).toMatchObject({
      pinned: true,
      changed: true,
      reason: 'keep',
    });
    expect((await fixture.json(['snapshot', 'pin', 'latest', '--reason', 'keep'])).data.changed).toBe(false);
    expect((await fixture.run(['snapshot', 'list'])).stdout).toContain('pinned: keep');
    expect((await fixture.json(['snapshot', 'unpin', 'latest'])).data).toMatchObject({ pinned: false, changed: true });
    expect((await fixture.json(['snapshot', 'pin', 'ffff'], 2)).error.code).toBe('E_NOT_FOUND');
  });

  test('ls, find, cat: as text, JSON and NDJSON', async () => {
    const { data } = await fixture.json(['ls', 'latest', '--recursive']);
    expect(data.entries.map((entry: { path: string }) => entry.path)).toContain('sub/b.txt');
    const lines = (await fixture.run(['ls', 'latest', '--ndjson'])).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string });
    expect(lines.filter((line) => line.type === 'dir')).toHaveLength(1);
    expect((await fixture.run(['ls', 'latest:sub', '-l'])).stdout).toMatch(/^-rw-r--r-- .* 6 .*sub\/b\.txt$/m);
    const found = (await fixture.json(['find', '*.txt', '--snapshot', 'latest'])).data.entries;
    expect(found.map((entry: { path: string }) => entry.path)).toEqual(['a.txt', 'sub/b.txt']);
    expect((await fixture.run(['find', 'sub/*'])).stdout).toContain('sub/b.txt');
    expect(await fixture.run(['find', 'nothing*'])).toMatchObject({ exitCode: 2, stdout: '' });
    expect((await fixture.run(['cat', 'latest:sub/b.txt'])).stdout).toBe('below\n');
    for (const args of [
      ['ls', 'latest:none'],
      ['cat', 'latest:none'],
      ['cat', 'latest:sub'],
      ['cat', 'latest'],
      ['cat', 'latest:a.txt', '--json'],
      ['find', '['],
      ['find', 'x', '--snapshot', 'zz'],
    ]) {
      expect([args, (await fixture.run(args)).exitCode]).toEqual([args, 2]);
    }
  });

  test('cat --tar gives an archive that tar reads', async () => {
    const tar = at('sub.tar');
    const script = `"$0" "$1" cat latest:sub --tar --data-dir "$2" > "$3"`;
    spawnSync('bash', ['-c', script, process.execPath, EDGESTORE_BIN, fixture.dataDir, tar]);
    expect(spawnSync('tar', ['-tf', tar], { encoding: 'utf8' }).stdout).toContain('b.txt');
  });

  test('diff: with the parent, between two, NDJSON, and without a parent', async () => {
    writeFileSync(join(fixture.tree, 'added'), 'new');
    writeFileSync(join(fixture.tree, 'a.txt'), 'hello again\n');
    await fixture.json(['sync']);
    const { data } = await fixture.json(['snapshot', 'diff', 'latest']);
    expect(data.counts).toMatchObject({ added: 1, removed: 0, content: 1 });
    expect(data.changes).toEqual(expect.arrayContaining([expect.objectContaining({ path: 'added', change: 'added' })]));
    const [first] = (await fixture.json(['snapshot', 'list'])).data.snapshots;
    const text = await fixture.run(['snapshot', 'diff', first.id, 'latest']);
    expect(text.stdout).toMatch(/^\+ added$/m);
    expect((await fixture.run(['snapshot', 'diff', first.id, 'latest', '--ndjson'])).stdout).toContain(
      '"change":"added"',
    );
    expect((await fixture.json(['snapshot', 'diff', first.id], 2)).error.message).toContain('first');
  });

  test('where: of a file in a root, in a snapshot, of nothing', async () => {
    const copies = [{ agent: 'tester', site: 'lab', tier: 'local', complete: true }];
    expect((await fixture.json(['where', join(fixture.tree, 'a.txt')])).data).toMatchObject({
      path: 'a.txt',
      unplaced: 0,
      copies,
    });
    expect((await fixture.json(['where', 'latest:sub'])).data).toMatchObject({ path: 'sub', copies });
    expect((await fixture.run(['where', 'latest:a.txt'])).stdout).toContain('local');
    expect((await fixture.json(['where', '/etc/passwd'], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await fixture.json(['where', 'f'.repeat(64)], 2)).error.code).toBe('E_NOT_FOUND');
  });

  test('restore --wait-thaw says that it changes nothing; a wait that is none is refused', async () => {
    const target = at('thawed');
    const { warnings } = await fixture.json(['restore', 'latest', '--target', target, '--wait-thaw', '1h']);
    expect(warnings).toMatchObject([{ code: 'W_NO_THAW' }]);
    expect((await fixture.json(['restore', 'latest', '--target', target, '--wait-thaw', 'soon'], 2)).error.exit).toBe(
      2,
    );
  });

  test('scrub: clean, then a flipped byte is found: exit 20, with the files it touches', async () => {
    const other = await makeVaultFixture();
    expect((await other.json(['scrub', '--all'])).data).toMatchObject({ findings: [], packs: { total: 2, read: 2 } });
    expect((await other.run(['scrub', '--sample', '100%'])).stdout).toContain('No damage found');
    const packs = join(other.dataDir, 'packs');
    for (const name of readdirSync(packs, { recursive: true, encoding: 'utf8' }).filter((one) =>
      one.endsWith('.pack'),
    )) {
      const bytes = readFileSync(join(packs, name));
      bytes[200]! ^= 1;
      writeFileSync(join(packs, name), bytes);
    }
    const dry = await other.json(['scrub', '--all', '--repair', '-n'], 20);
    expect(dry.data).toMatchObject({ dry_run: true, repaired: 0 });
    // Not even noted: nobody else hears of it.
    expect((await other.run(['status', '--check'])).exitCode).toBe(0);
    expect((await other.run(['scrub', '--all', '--repair', '-n'])).stdout).toContain('Nothing was changed (dry run)');
    const { data } = await other.json(['scrub', '--all'], 20);
    expect(data.findings.length).toBeGreaterThan(0);
    expect((await other.run(['status', '--check'])).exitCode).toBe(20);
    expect((await other.run(['restore', 'latest', '--target', join(other.folder, 'x')])).exitCode).toBeGreaterThan(0);
    other.remove();
  });
});

describe('roots and policy', () => {
  test('add, list, check-ignore, remove', async () => {
    const other = await makeVaultFixture();
    mkdirSync(join(other.folder, 'photos', 'cache'), { recursive: true });
    const photos = join(other.folder, 'photos');
    expect((await other.json(['root', 'add', photos, '--exclude', '*.tmp', '-n'])).data).toMatchObject({
      added: true,
      dry_run: true,
    });
    expect((await other.json(['root', 'add', photos, '--exclude', '*.tmp'])).data.root).toMatchObject({
      name: 'photos',
      watch: true,
      exclude: ['*.tmp'],
    });
    expect((await other.json(['root', 'add', photos])).data.added).toBe(false);
    expect((await other.run(['root', 'list'])).stdout).toContain('photos');
    writeFileSync(join(photos, '.edgestoreignore'), 'cache/\n');
    const { paths } = (
      await other.json([
        'root',
        'check-ignore',
        join(photos, 'a.tmp'),
        join(photos, 'cache', 'x'),
        join(photos, 'kept'),
      ])
    ).data;
    expect(paths.map((one: { ignored: boolean }) => one.ignored)).toEqual([true, true, false]);
    expect(paths[1].rule).toEqual({ pattern: 'cache/', origin: '.edgestoreignore' });
    expect(
      (await other.json(['policy', 'show'])).data.roots.find((root: { root: string }) => root.root === 'photos').rules,
    ).toEqual(expect.arrayContaining([expect.objectContaining({ key: 'copies', value: 0, origin: 'default' })]));
    expect((await other.run(['policy', 'show'])).stdout).toContain('exclude');
    expect((await other.json(['root', 'remove', 'photos'])).data.name).toBe('photos');
    expect((await other.json(['root', 'remove', 'phtos'], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await other.json(['root', 'add', join(other.folder, 'none')], 2)).error.code).toBe('E_NOT_FOUND');
    expect((await other.json(['root', 'add', photos, '--name', 'tree'], 2)).error.message).toContain('already');
    expect((await other.json(['root', 'check-ignore', '/etc'], 2)).error.code).toBe('E_NOT_FOUND');
    other.remove();
  });

  test('a root given as a link, and one with an odd name', async () => {
    const other = await makeVaultFixture();
    mkdirSync(join(other.folder, 'odd name é'));
    symlinkSync(other.tree, join(other.folder, 'link'));
    expect((await other.run(['sync', join(other.folder, 'odd name é'), join(other.folder, 'link')])).exitCode).toBe(0);
    expect((await other.json(['root', 'list'])).data.roots.map((root: { name: string }) => root.name).sort()).toEqual([
      'link',
      'odd-name-',
      'tree',
    ]);
    other.remove();
  });
});

describe('status, doctor, config', () => {
  test('status is one screen; --check tells by the exit code', async () => {
    const { data } = await fixture.json(['status', '--check']);
    expect(data).toMatchObject({
      agent: { name: 'tester', running: false },
      findings: [],
      roots: [{ name: 'tree', present: true }],
    });
    expect((await fixture.run(['status'])).stdout).toContain('All is well');
    const other = makeFixture();
    await other.json(['init', '--recovery-out', join(other.folder, 's')]);
    expect((await other.json(['status', '--check'], 20)).data.findings[0].code).toBe('no_roots');
    other.remove();
  });

  test('doctor looks at the machine', async () => {
    const { data } = await fixture.json(['doctor']);
    expect(data.checks.find((check: { what: string }) => check.what === 'data dir').result).toBe('ok');
    expect((await fixture.run(['doctor'])).stdout).toContain('runtime');
    expect((await fixture.run(['doctor', '--data-dir', at('nowhere')])).exitCode).toBe(20);
  });

  test('config: all errors at once, with line and nearest name; show with origins', async () => {
    const file = at('edgestore.toml');
    writeFileSync(file, '[agent]\nnmae = "x"\n[replication.default]\ncopies = -1\n');
    const { error } = await fixture.json(['config', 'validate', '-c', file], 2);
    expect(error.message).toMatch(/edgestore\.toml:2: .*did you mean "name"/);
    expect(error.message).toMatch(/edgestore\.toml:4: /);
    expect((await fixture.json(['status', '-c', file], 2)).error.code).toBe('E_CONFIG');
    expect((await fixture.json(['config', 'validate', '-c', at('none.toml')], 2)).error.code).toBe('E_CONFIG');
    writeFileSync(file, '[replication.default]\ncopies = 3\n');
    expect((await fixture.json(['config', 'validate', '-c', file])).data.files).toContain(file);
    const { values } = (await fixture.json(['config', 'show'], 0, { env: { EDGESTORE_CONFIG: file } })).data;
    expect(values).toEqual(
      expect.arrayContaining([{ key: 'replication.default.copies', value: 3, origin: `${file}:2` }]),
    );
    expect((await fixture.run(['config', 'show', '-c', file])).stdout).toContain('replication.default.copies');
    expect((await fixture.run(['config', 'validate', '-c', file])).stdout).toContain('valid');
  });
});
