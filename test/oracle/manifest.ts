/**
 * What a tree is, written down by code that shares nothing with the engine: Node's own fs calls, and python3 for extended attributes
 * (Node has no call for them). Two manifests are equal exactly when every byte and all metadata are.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';

/** One line per entry, keyed by the path relative to the root (latin1, so that any bytes survive as a key). */
export type Manifest = Map<string, string>;

export interface ManifestOptions {
  /** Compare owners too; only root can give files away, so others leave it out. Default: whether we are root. */
  readonly owners?: boolean;
  /** False where the tree is known to have no extended attributes: looking for them costs a process. */
  readonly xattrs?: boolean;
  /** Entries (paths relative to the root, latin1) that are left out, e.g. sockets. */
  readonly skip?: (path: string) => boolean;
}

/** Walks the tree without following links. Sockets are left out: nothing of them can be captured. */
export function manifestOf(root: string | Buffer, options: ManifestOptions = {}): Manifest {
  const owners = options.owners ?? process.getuid?.() === 0;
  const base = Buffer.isBuffer(root) ? root : Buffer.from(root);
  const manifest: Manifest = new Map();
  const linkGroups = new Map<string, string>();
  const xattrs = options.xattrs === false ? new Map<string, string>() : xattrsBelow(base);
  const pending: Buffer[] = [Buffer.alloc(0)];
  while (pending.length > 0) {
    const relative = pending.pop() as Buffer;
    const key = relative.toString('latin1');
    if (options.skip?.(key)) continue;
    const path = relative.length === 0 ? base : Buffer.concat([base, Buffer.from('/'), relative]);
    const stat = lstatSync(path, { bigint: true });
    if (stat.isSocket()) continue;
    const fields = [
      typeName(stat),
      (stat.mode & 0o7777n).toString(8),
      stat.isSymbolicLink() ? '' : stat.mtimeNs.toString(),
    ];
    if (owners) fields.push(`${stat.uid}:${stat.gid}`);
    if (stat.isFile()) {
      fields.push(stat.size.toString(), sha256Of(path));
      if (stat.nlink > 1n) {
        const inode = `${stat.dev}:${stat.ino}`;
        const members = linkGroups.get(inode);
        if (members === undefined || key < members) linkGroups.set(inode, key);
        fields.push(`inode ${inode}`);
      }
    } else if (stat.isSymbolicLink()) {
      fields[1] = '';
      fields.push(readlinkSync(path, { encoding: 'buffer' }).toString('hex'), stat.mtimeNs.toString());
    } else if (stat.isCharacterDevice() || stat.isBlockDevice()) {
      fields.push(stat.rdev.toString());
    } else if (stat.isDirectory()) {
      const names = readdirSync(path, { encoding: 'buffer' });
      for (const name of names)
        pending.push(relative.length === 0 ? name : Buffer.concat([relative, Buffer.from('/'), name]));
    }
    const attributes = xattrs.get(key);
    if (attributes !== undefined) fields.push(attributes);
    manifest.set(key, fields.join(' '));
  }
  // Hard links are equal when the same names share an inode; which inode it is does not matter.
  for (const [key, line] of manifest) {
    manifest.set(
      key,
      line.replace(
        /inode (\S+)/,
        (_, inode: string) => `linked with ${Buffer.from(linkGroups.get(inode) ?? '', 'latin1').toString('hex')}`,
      ),
    );
  }
  return manifest;
}

/** Human-readable differences, at most `limit`; empty when equal. */
export function differences(expected: Manifest, actual: Manifest, limit = 20): string[] {
  const out: string[] = [];
  for (const [key, line] of expected) {
    const other = actual.get(key);
    if (other === undefined) out.push(`missing: ${JSON.stringify(key)}`);
    else if (other !== line) out.push(`differs: ${JSON.stringify(key)}\n  expected ${line}\n  found    ${other}`);
    if (out.length >= limit) return out;
  }
  for (const key of actual.keys()) {
    if (!expected.has(key)) out.push(`unexpected: ${JSON.stringify(key)}`);
    if (out.length >= limit) return out;
  }
  return out;
}

/** One digest of a whole manifest, for journals. */
export function manifestDigest(manifest: Manifest): string {
  const hash = createHash('sha256');
  for (const key of [...manifest.keys()].sort()) hash.update(`${key}\0${manifest.get(key)}\0`, 'latin1');
  return hash.digest('hex');
}

/** Bytes of all regular files of the manifest, and how many entries of each kind. */
export function manifestTotals(manifest: Manifest): { files: number; dirs: number; others: number; bytes: number } {
  const totals = { files: 0, dirs: 0, others: 0, bytes: 0 };
  for (const line of manifest.values()) {
    const fields = line.split(' ');
    if (fields[0] === 'file') {
      totals.files++;
      const size = fields.find((field, at) => at >= 3 && /^\d+$/.test(field));
      totals.bytes += Number(size ?? 0);
    } else if (fields[0] === 'dir') totals.dirs++;
    else totals.others++;
  }
  return totals;
}

function typeName(stat: {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isCharacterDevice(): boolean;
}): string {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  return stat.isCharacterDevice() ? 'chardev' : 'blockdev';
}

const readBuffer = Buffer.allocUnsafe(1024 * 1024);

function sha256Of(path: Buffer): string {
  const hash = createHash('sha256');
  const fd = openSync(path, 'r');
  try {
    for (;;) {
      const read = readSync(fd, readBuffer, 0, readBuffer.length, null);
      if (read === 0) return hash.digest('hex');
      hash.update(readBuffer.subarray(0, read));
    }
  } finally {
    closeSync(fd);
  }
}

const XATTR_SCRIPT = `
import os, sys
base = os.fsencode(sys.argv[1])
def visit(path, rel):
    try: names = sorted(os.listxattr(path, follow_symlinks=False))
    except OSError: names = []
    names = [n for n in names if n != 'security.selinux']
    if names:
        row = ','.join(os.fsencode(n).hex() + '=' + os.getxattr(path, n, follow_symlinks=False).hex() for n in names)
        sys.stdout.write(rel.hex() + ' ' + row + '\\n')
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path): stack.append((path + b'/' + name, rel + b'/' + name if rel else name))
stack = [(base, b'')]
while stack: visit(*stack.pop())
`;

/** Extended attributes of every entry below, as one text each; nothing where python3 is missing (said once by the caller's output). */
function xattrsBelow(base: Buffer): Map<string, string> {
  const out = new Map<string, string>();
  const run = spawnSync('python3', ['-c', XATTR_SCRIPT, base.toString()], { encoding: 'latin1', maxBuffer: 1 << 28 });
  if (run.error !== undefined) return out;
  if (run.status !== 0) throw new Error(`reading extended attributes failed: ${run.stderr}`);
  for (const line of run.stdout.split('\n')) {
    const [path, row] = line.split(' ');
    if (path !== undefined && row !== undefined) out.set(Buffer.from(path, 'hex').toString('latin1'), `xattrs ${row}`);
  }
  return out;
}
