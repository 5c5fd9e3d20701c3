/** A folder with the names, kinds and times that break backup programs. Made with Node, and python3 for what Node has no call for. */
import { spawnSync } from 'node:child_process';
import { chmodSync, linkSync, lutimesSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';

const isRoot = process.getuid?.() === 0;

/** Fills `dir` (which must exist). Devices and foreign owners only as root. Deterministic apart from times of the folder itself. */
export function makeHostileTree(dir: string): void {
  const at = (name: string | Buffer) =>
    Buffer.concat([Buffer.from(`${dir}/`), Buffer.isBuffer(name) ? name : Buffer.from(name)]);
  const names: (string | Buffer)[] = [
    'plain.txt',
    ' leading space',
    '-rf',
    'new\nline',
    'tab\there',
    'esc\x1b[31mred',
    'carriage\rreturn',
    'quote\'s and "doubles"',
    'back\\slash \\x41',
    '*?[glob]',
    'ünïcödé',
    'u\u0308nnormal', // the decomposed twin of the next one
    'ünnormal',
    'CASE',
    'case',
    Buffer.from([0xff, 0xfe, 0x80, 0x41]), // not UTF-8
    Buffer.from('n'.repeat(255)),
    Buffer.from('\u{1F9CA}'.repeat(63)),
    '.hidden',
    '...',
    '#comment',
    '!bang',
  ];
  for (const [index, name] of names.entries()) writeFileSync(at(name), `content ${index} of a file with an odd name\n`);
  writeFileSync(at('empty'), '');
  writeFileSync(at('one byte'), 'x');
  writeFileSync(at('zeros'), Buffer.alloc(300_000));
  writeFileSync(at('larger'), pseudoRandom(3_000_000, 7));
  writeFileSync(at('text'), 'all work and no play makes a dull file\n'.repeat(40_000));
  for (const length of [131_071, 131_072, 131_073, 2_097_152, 2_097_153])
    writeFileSync(at(`chunk-limit-${length}`), pseudoRandom(length, length));

  mkdirSync(at('folder/with/levels'), { recursive: true });
  mkdirSync(at('empty folder'));
  writeFileSync(at('folder/with/levels/leaf'), 'leaf');
  let deep = dir;
  for (let level = 0; level < 60; level++) {
    deep += `/level-${level}-of-a-deep-path`;
    mkdirSync(deep);
  }
  writeFileSync(`${deep}/bottom`, 'far down');

  symlinkSync('plain.txt', at('link'));
  symlinkSync('nowhere/at all', at('dangling'));
  symlinkSync('/etc/passwd', at('absolute link'));
  symlinkSync('../../../../../../etc', at('climbing link'));
  symlinkSync('.', at('loop'));
  symlinkSync(Buffer.from([0xe9, 0x2f, 0xff]), at('link to bytes'));
  linkSync(at('plain.txt'), at('hard link one'));
  linkSync(at('plain.txt'), at('folder/hard link two'));

  chmodSync(at('plain.txt'), 0o640);
  chmodSync(at('one byte'), 0o000);
  chmodSync(at('empty folder'), 0o1777);
  chmodSync(at('folder'), 0o2750);
  python(
    dir,
    `
import os, sys
d = os.fsencode(sys.argv[1])
os.mkfifo(d + b'/fifo')
with open(d + b'/sparse', 'wb') as f:
    f.write(b'head'); f.seek(50 * 1024 * 1024); f.write(b'middle'); f.truncate(200 * 1024 * 1024)
with open(d + b'/all hole', 'wb') as f: f.truncate(10 * 1024 * 1024)
try:
    os.setxattr(d + b'/plain.txt', b'user.comment', bytes(range(256)))
    os.setxattr(d + b'/folder', b'user.on a folder', b'')
except OSError: pass
if os.getuid() == 0:
    os.mknod(d + b'/chardev', 0o20600, os.makedev(1, 3))
    os.mknod(d + b'/blockdev', 0o60640, os.makedev(7, 200))
    os.chown(d + b'/text', 12345, 54321)
    os.chown(d + b'/link', 4242, 2424, follow_symlinks=False)
    os.chmod(d + b'/larger', 0o4755)
times = { b'text': -1, b'empty': 0, b'zeros': -2208988800 * 10**9 + 123456789, b'larger': 16725225600 * 10**9 + 1, b'one byte': 1700000000123456789, b'link': 1234567890987654321, b'empty folder': 951782400 * 10**9 + 999999999 }
for name, ns in times.items(): os.utime(d + b'/' + name, ns=(ns, ns), follow_symlinks=False)
`,
  );
  utimesSync(at('folder'), 1_000_000_000, 1_000_000_000);
  lutimesSync(at('dangling'), 1, 1);
}

/** Bytes that do not compress, the same for the same seed (xorshift). */
export function pseudoRandom(length: number, seed: number): Buffer {
  const out = Buffer.alloc(length + 4);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    out.writeUInt32LE(state, at);
  }
  return out.subarray(0, length);
}

export const hostileTreeNeedsRoot = !isRoot;

function python(dir: string, script: string): void {
  const run = spawnSync('python3', ['-c', script, dir], { encoding: 'utf8' });
  if (run.error !== undefined) throw new Error('the hostile tree needs python3', { cause: run.error });
  if (run.status !== 0) throw new Error(`making the hostile tree failed: ${run.stderr}`);
}
