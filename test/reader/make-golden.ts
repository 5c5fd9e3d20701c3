/**
 * Made the committed vault of format version 1, with the program as it was then: `node test/reader/make-golden.ts`. A format that has been released
 * does not change, so what is there is not made again; a later version of the formats gets a vault of its own beside it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manifestOf } from '../oracle/manifest.ts';
import { edgestoreJson } from '../support/edgestore-process.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { formatManifest, GOLDEN_MANIFEST, GOLDEN_VAULT } from './golden-vault.ts';

if (existsSync(GOLDEN_VAULT)) throw new Error(`${GOLDEN_VAULT} is there already`);
const base = mkdtempSync(join(tmpdir(), 'edgestore-golden-'));
try {
  const tree = join(base, 'golden');
  const data = join(base, 'data');
  const sync = ['sync', tree, '--data-dir', data];
  mkdirSync(tree);
  writeFileSync(join(tree, 'of the first snapshot only'), 'gone in the second\n');
  await edgestoreJson([
    ...['init', '--name', 'golden', '--site', 'here', '--recovery-out', join(base, 'sheet'), '--data-dir', data],
  ]);
  await edgestoreJson(sync);
  rmSync(join(tree, 'of the first snapshot only'));
  makeTree(tree);
  const manifest = formatManifest(manifestOf(tree, { owners: false }));
  await edgestoreJson(sync);
  const formats = new Set([
    'vault.edge',
    'vault.seen',
    'key',
    'admin.edge',
    'slots',
    'agent',
    'cards',
    'packs',
    'chains',
    'store.id',
    'epoch',
  ]);
  const isFormat = (path: string) => path === data || formats.has(path.slice(data.length + 1).split('/')[0] ?? '');
  cpSync(data, GOLDEN_VAULT, { recursive: true, filter: isFormat });
  writeFileSync(GOLDEN_MANIFEST, manifest);
} finally {
  rmSync(base, { recursive: true, force: true });
}

function makeTree(dir: string): void {
  const at = (name: string | Buffer) =>
    Buffer.concat([Buffer.from(`${dir}/`), Buffer.isBuffer(name) ? name : Buffer.from(name)]);
  const names = [
    ' space',
    '-rf',
    'new\nline',
    'esc\x1b[31m',
    '*?[glob]',
    'back\\slash \\x41',
    'ünïcödé',
    'u\u0308',
    '...',
  ];
  for (const name of names) writeFileSync(at(name), `a file called ${JSON.stringify(name)}\n`);
  writeFileSync(at(Buffer.from([0xff, 0xfe, 0x80, 0x41])), 'a name that is not UTF-8\n');
  writeFileSync(at('n'.repeat(255)), '');
  writeFileSync(at('text of several chunks'), measurements(34_000));
  writeFileSync(at('does not compress'), pseudoRandom(9_000, 3));
  mkdirSync(at('folder/with/levels'), { recursive: true });
  linkSync(at(' space'), at('folder/hard link'));
  linkSync(at(' space'), at('folder/with/another'));
  symlinkSync('folder/hard link', at('link'));
  symlinkSync(Buffer.from([0x2f, 0xe9, 0xff]), at('dangling link'));
  mkdirSync(at('of several pages'));
  for (const name of namesOfPages()) mkdirSync(at(`of several pages/${name}`));
  python(dir);
}

/** Text as sensors write it: about ten to one. */
function measurements(lines: number): string {
  const random = pseudoRandom(lines, 5);
  let text = '';
  for (let line = 0; line < lines; line++) {
    const [hour, minute] = [Math.floor(line / 3600) % 24, Math.floor(line / 60) % 60];
    text += `2026-01-01T${pad(hour)}:${pad(minute)}:${pad(line % 60)} sensor-${line % 8} ${20 + ((random[line] ?? 0) & 7)}.5 ok\n`;
  }
  return text;
}

function pad(number: number): string {
  return String(number).padStart(2, '0');
}

/** Enough names for three pages: each 480th is one behind which a page ends (docs/formats/tree.md). */
function namesOfPages(): string[] {
  return Array.from({ length: 1000 }, (_, index) => {
    let name = `${String(index).padStart(4, '0')} ${'long name '.repeat(11)}`;
    if (index % 480 === 479) {
      let suffix = 0;
      while (!endsPage(`${name}${suffix}`)) suffix++;
      name += suffix;
    }
    return name;
  });
}

function endsPage(name: string): boolean {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash ^= hash >>> 13;
  return (hash & 0x1ff) === 0;
}

/** What Node has no call for. Each entry gets a time of its own, with nanoseconds; the folders last, as making entries changes theirs. */
function python(dir: string): void {
  const script = `
import os, sys
d = os.fsencode(sys.argv[1])
os.mkfifo(d + b'/fifo')
with open(d + b'/sparse', 'wb') as f:
    f.write(b'head'); f.seek(3 * 2**20); f.write(b'middle'); f.truncate(40 * 2**20)
with open(d + b'/all hole', 'wb') as f: f.truncate(10 * 2**20)
os.setxattr(d + b'/ space', b'user.comment', bytes(range(256)))
os.setxattr(d + b'/folder', b'user.empty', b'')
os.setxattr(d + b'/folder', b'user.another', b'\\xff')
for name, mode in ((b'/folder', 0o2750), (b'/-rf', 0o4711), (b'/...', 0o400), (b'/of several pages', 0o1777)): os.chmod(d + name, mode)
times = {b'/...': -1, b'/-rf': 16725225600 * 10**9 + 1, b'/*?[glob]': 0}
count = 0
for folder, folders, files in os.walk(d, topdown=False):
    for path in sorted(folder + b'/' + name for name in files) + [folder]:
        count += 1
        ns = times.get(path[len(d):], 1767225600 * 10**9 + count * 1000000007)
        os.utime(path, ns=(ns, ns), follow_symlinks=False)
`;
  const run = spawnSync('python3', ['-c', script, dir], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`making the tree failed: ${run.stderr}`, { cause: run.error });
}
