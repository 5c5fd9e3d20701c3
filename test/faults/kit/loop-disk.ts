/**
 * A disk of its own: an ext4 file system in an image file. Bytes of the image are changed below the file system, which does not notice. It can be
 * unplugged, filled up and mounted read-only. Needs root.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** Long enough to be found once only: sealed bytes do not repeat. */
const NEEDLE_BYTES = 64;

export class LoopDisk {
  readonly image: string;
  readonly folder: string;

  private constructor(image: string, folder: string) {
    this.image = image;
    this.folder = folder;
  }

  /** `base` is a folder of the caller's; the disk is mounted at `base/name`. */
  static make(base: string, name: string, mib: number): LoopDisk {
    const disk = new LoopDisk(join(base, `${name}.img`), join(base, name));
    mkdirSync(disk.folder);
    must('truncate', '-s', `${mib}M`, disk.image);
    must('mkfs.ext4', '-q', '-F', '-m', '0', '-E', 'lazy_itable_init=0,lazy_journal_init=0', disk.image);
    disk.plugIn();
    rmSync(join(disk.folder, 'lost+found'), { recursive: true });
    return disk;
  }

  plugIn(): void {
    must('mount', '-o', 'loop', this.image, this.folder);
  }

  /** The folder stays, empty, as it is when a disk is not there at boot. Files that are still open keep the file system alive (lazy). */
  unplug(): void {
    must('umount', '-l', this.folder);
  }

  setReadOnly(isReadOnly: boolean): void {
    must('mount', '-o', `remount,${isReadOnly ? 'ro' : 'rw'}`, this.folder);
  }

  /**
   * Changes one byte of the file in the image. The page cache of the mounted file system keeps the good byte: a reader who does not ask the medium
   * does not see the change. `dropCaches` makes everybody see it.
   */
  changeBelow(file: string, at: number): void {
    must('sync', '-f', this.folder);
    const good = readFileSync(file);
    const needle = good.subarray(at, at + NEEDLE_BYTES);
    if (needle.length < NEEDLE_BYTES) throw new Error(`${file} has no ${NEEDLE_BYTES} bytes at ${at}`);
    const image = readFileSync(this.image);
    const place = image.indexOf(needle);
    if (place < 0 || image.indexOf(needle, place + 1) >= 0) throw new Error('the bytes are not once in the image');
    const fd = openSync(this.image, 'r+');
    try {
      writeSync(fd, Buffer.of(image.readUInt8(place) ^ 0x20), 0, 1, place);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (!readFileSync(file).equals(good)) throw new Error('the page cache did not keep the good byte');
  }

  /** Takes all space but so many bytes; returns how to free it again. */
  fillUp(leaveBytes = 0): () => void {
    const ballast = join(this.folder, 'ballast');
    const { bavail, bsize } = statfsSync(this.folder);
    const bytes = Math.max(0, bavail * bsize - leaveBytes);
    // Blocks of the map of a file's own blocks are taken too, so a little is tried less until it fits.
    for (let less = 0; ; less += 16 * bsize) {
      if (spawnSync('fallocate', ['-l', String(bytes - less), ballast]).status === 0) break;
      if (less > bytes / 2) throw new Error(`${this.folder} cannot be filled up`);
    }
    must('sync', '-f', this.folder);
    return () => rmSync(ballast, { force: true });
  }

  remove(): void {
    spawnSync('umount', ['-l', this.folder]);
    if (existsSync(this.image)) rmSync(this.image);
  }
}

/** Clean pages leave the page cache of the whole machine; the next reader asks the medium. */
export function dropCaches(): void {
  must('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '1\n');
}

function must(command: string, ...args: string[]): void {
  const done = spawnSync(command, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.error?.message ?? done.stderr.trim()}`);
}
