/** The formats are open: a reader of under 330 lines, written from `docs/formats` alone, restores what the program stored, and so does the program itself. */
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { differences, type Manifest, manifestOf } from '../oracle/manifest.ts';
import { edgestoreJson } from '../support/edgestore-process.ts';
import { hostileTreeNeedsRoot, makeHostileTree } from '../support/hostile-tree.ts';
import { tempFolders } from '../support/temp-folder.ts';
import { GOLDEN_VAULT, readGoldenManifest } from './golden-vault.ts';
import { missingForReader, readVault, runPython } from './python-reader.ts';

const newFolder = tempFolders('reader');
const missing = missingForReader();
const mustRun = process.env.EDGESTORE_TEST_INSTALL === '1';
if (missing !== undefined && !mustRun) process.stderr.write(`SKIPPED: the Python reader: ${missing}\n`);

/** The golden vault as a data dir of its own: private, writable, with the folders that git does not keep. */
function copyOfGolden(): string {
  const data = join(newFolder(), 'data');
  cpSync(GOLDEN_VAULT, data, { recursive: true });
  for (const entry of readdirSync(data, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o700 : 0o600);
  }
  chmodSync(data, 0o700);
  return data;
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  const place = at < 0 ? bytes.length + at : at;
  bytes.writeUInt8(bytes.readUInt8(place) ^ 0x10, place);
  writeFileSync(path, bytes);
}

function expectEqual(expected: Manifest, target: string, owners: boolean): void {
  expect(differences(expected, manifestOf(target, { owners }))).toEqual([]);
}

test('the reader stays under 330 lines', () => {
  const lines = readFileSync(new URL('./read_vault.py', import.meta.url), 'utf8').split('\n').length - 1;
  expect(lines).toBeLessThan(330);
});

test('this program restores the committed vault of version 1', async () => {
  const data = copyOfGolden();
  const target = join(newFolder(), 'target');
  await edgestoreJson(['restore', 'latest', '--target', target, '--data-dir', data]);
  expectEqual(readGoldenManifest(), target, false);
});

describe('the reader in Python', () => {
  if (missing !== undefined && mustRun) {
    test('runs here', () => expect.fail(missing));
  }

  test.skipIf(missing !== undefined)('restores the committed vault of version 1', () => {
    const target = join(newFolder(), 'target');
    expect(readVault(GOLDEN_VAULT, target)).toMatchObject({ exitCode: 0, stderr: '' });
    expectEqual(readGoldenManifest(), target, false);
  });

  test.skipIf(missing !== undefined)(
    'restores a hostile tree that this program stored, and older snapshots of it',
    async () => {
      const base = newFolder();
      const folder = join(base, 'files');
      mkdirSync(folder);
      const at = ['--data-dir', join(base, 'data')];
      await edgestoreJson(['init', ...at, '--recovery-out', join(base, 'sheet')]);
      writeFileSync(join(folder, 'text'), 'as it was at first\n');
      const first = await edgestoreJson<{ roots: { snapshot: string }[] }>(['sync', folder, ...at]);
      makeHostileTree(folder);
      if (hostileTreeNeedsRoot) chmodSync(join(folder, 'one byte'), 0o400);
      await edgestoreJson(['sync', folder, ...at]);

      expect(readVault(join(base, 'data'), join(base, 'back'))).toMatchObject({ exitCode: 0, stderr: '' });
      expectEqual(manifestOf(folder), join(base, 'back'), !hostileTreeNeedsRoot);
      const prefix = first.roots[0]?.snapshot.slice(0, 10) ?? '';
      expect(readVault(join(base, 'data'), join(base, 'older'), prefix, '--root', 'files').exitCode).toBe(0);
      expect(readdirSync(join(base, 'older'))).toEqual(['text']);
      expect(readFileSync(join(base, 'older', 'text'), 'utf8')).toBe('as it was at first\n');
    },
  );

  test.skipIf(missing !== undefined)('needs no index, lock or run folder, and writes nothing to the vault', () => {
    const data = copyOfGolden();
    const before = manifestOf(data);
    expect(readVault(data, join(newFolder(), 'target')).exitCode).toBe(0);
    expect(differences(before, manifestOf(data))).toEqual([]);
  });

  // Header, its zeros, frame header, its zeros, nonce, ciphertext; from the end: magic, zeros, hash of the index, the last row of the index.
  const inPack = [0, 21, 40, 65, 77, 85, 113, 150, -1, -12, -40, -100];
  test.skipIf(missing !== undefined)('refuses a pack with one byte flipped, wherever it is', () => {
    const data = copyOfGolden();
    const packs = filesBelow(join(data, 'packs')).sort((a, b) => readFileSync(b).length - readFileSync(a).length);
    for (const pack of packs.slice(0, 2)) {
      for (const at of inPack) {
        flip(pack, at);
        const target = join(newFolder(), 'target');
        const run = readVault(data, target);
        expect(run, `byte ${at} of ${pack}`).toMatchObject({
          exitCode: 1,
          stderr: expect.stringMatching(/^read_vault: E_(INTEGRITY|FORMAT|NEWER_FORMAT): /),
        });
        if (at >= 64) expect(run.stderr).toMatch(at < -63 || at > 0 ? /E_INTEGRITY/ : /E_/);
        flip(pack, at);
      }
    }
    expect(readVault(data, join(newFolder(), 'target')).exitCode).toBe(0);
  });

  test.skipIf(missing !== undefined)(
    'refuses a damaged descriptor, slot, key, identity or chain, and another vault’s key',
    () => {
      const data = copyOfGolden();
      const [chain = ''] = filesBelow(join(data, 'chains'));
      const refused = (code: string) => {
        const run = readVault(data, join(newFolder(), 'target'));
        expect(run).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`read_vault: ${code}: `) });
      };
      const damages: [string, number, string][] = [
        [join(data, 'vault.edge'), -1, 'E_INTEGRITY'],
        [join(data, 'vault.edge'), -90, 'E_INTEGRITY'],
        [join(data, 'key'), 30, 'E_INTEGRITY'],
        [join(data, 'agent/identity.edge'), -1, 'E_INTEGRITY'],
        [chain, 200, 'E_INTEGRITY'],
        [chain, -1, 'E_INTEGRITY'],
      ];
      for (const [path, at, code] of damages) {
        flip(path, at);
        refused(code);
        flip(path, at);
      }
      for (const slot of filesBelow(join(data, 'slots'))) flip(slot, 110);
      refused('E_INTEGRITY');
      for (const slot of filesBelow(join(data, 'slots'))) flip(slot, 110);
      const other = Buffer.alloc(32, 7).toString('base64url');
      const check = createHash('sha256').update(`edgestore-key-1:${other}`).digest('hex').slice(0, 8);
      writeFileSync(join(data, 'key'), `edgestore-key-1:${other}:${check}\n`);
      refused('E_WRONG_KEY');
    },
  );

  test.skipIf(missing !== undefined)('leaves out an entry that a crash cut off, and says so', () => {
    const data = copyOfGolden();
    const [chain = ''] = filesBelow(join(data, 'chains'));
    const bytes = readFileSync(chain);
    writeFileSync(chain, bytes.subarray(0, bytes.length - 10));
    const target = join(newFolder(), 'target');
    expect(readVault(data, target)).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('torn end') });
    expect(readdirSync(target)).toEqual(['of the first snapshot only']);
  });

  test.skipIf(missing !== undefined)('takes no name that leads out of the target, however the page is signed', () => {
    const names = ['420000', '412e', '422e2e', '43612f62', '43610062', '452f65746300', '622e2e', '05', '40'];
    const script = `
import read_vault as reader
class Vault:
    def chunk(self, kind, id): return self.page
for name in ${JSON.stringify(names)}:
    vault = Vault()
    vault.page = bytes.fromhex('8401000081a100' + name)
    try: reader.Restore(vault).folder({10: bytes(32)})
    except reader.VaultError as error: print(error)
`;
    const run = runPython(script);
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    const lines = run.stdout.trim().split('\n');
    expect(lines).toHaveLength(names.length);
    for (const line of lines) expect(line).toMatch(/^E_FORMAT: the name /);
  });
});
