/**
 * Where the server keeps buckets and objects: one file an object (a padded header line, then the bytes), written aside, fsynced and renamed,
 * so that a reader sees the old object or the new one. File names are hashes of the keys: any key can be kept.
 */
import { createHash, randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const HEADER_BYTES = 4096;

export interface StoredObject {
  readonly key: string;
  readonly size: number;
  /** Hex MD5. */
  readonly md5: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
  readonly storageClass: string;
}

export interface Upload {
  write(part: Uint8Array): Promise<void>;
  /** Makes the object appear; false when `ifAbsent` and the key exists. */
  commit(stored: { readonly key: string; readonly storageClass: string; readonly ifAbsent: boolean }): Promise<boolean>;
  abandon(): Promise<void>;
  /** Of the bytes written so far. */
  digests(): { readonly md5: Buffer; readonly sha256: string; readonly size: number };
}

export interface Disk {
  bucketOwner(bucket: string): string | undefined;
  bucketsOf(owner: string): string[];
  createBucket(bucket: string, owner: string): Promise<void>;
  removeBucket(bucket: string): Promise<void>;
  stat(bucket: string, key: string): StoredObject | undefined;
  /** In byte order of their UTF-8 keys. */
  list(bucket: string): StoredObject[];
  /** The open file, what it says of itself, and where the bytes begin; undefined when absent. The caller closes it. An object replaced meanwhile stays readable. */
  openObject(
    bucket: string,
    key: string,
  ): Promise<{ readonly file: FileHandle; readonly object: StoredObject; readonly start: number } | undefined>;
  upload(bucket: string): Promise<Upload>;
  remove(bucket: string, key: string): Promise<void>;
}

export async function openDisk(dir: string): Promise<Disk> {
  const buckets = new Map<
    string,
    { readonly owner: string; readonly objects: Map<string, StoredObject>; sorted: StoredObject[] | undefined }
  >();
  const bucketDir = (bucket: string) => join(dir, bucket);
  const pathOf = (bucket: string, key: string) =>
    join(bucketDir(bucket), createHash('sha256').update(key).digest('hex'));
  const bucketOf = (name: string) => {
    const bucket = buckets.get(name);
    if (bucket === undefined) throw new Error(`no bucket ${name}`);
    return bucket;
  };
  await mkdir(dir, { recursive: true });
  for (const name of await readdir(dir)) {
    if (name.startsWith('.')) continue;
    const { owner } = JSON.parse(await readFile(join(dir, name, 'bucket.json'), 'utf8')) as { owner: string };
    const objects = new Map<string, StoredObject>();
    for (const file of await readdir(bucketDir(name))) {
      if (file.startsWith('tmp-')) await rm(join(bucketDir(name), file));
      if (!/^[0-9a-f]{64}$/.test(file)) continue;
      const stored = await readHeader(join(bucketDir(name), file));
      objects.set(stored.key, stored);
    }
    buckets.set(name, { owner, objects, sorted: undefined });
  }

  return {
    bucketOwner: (bucket) => buckets.get(bucket)?.owner,
    bucketsOf: (owner) =>
      [...buckets]
        .filter(([, bucket]) => bucket.owner === owner)
        .map(([name]) => name)
        .sort(),
    async createBucket(bucket, owner) {
      await mkdir(bucketDir(bucket), { recursive: true });
      await writeFile(join(bucketDir(bucket), 'bucket.json'), JSON.stringify({ owner }));
      buckets.set(bucket, { owner, objects: new Map(), sorted: undefined });
    },
    async removeBucket(bucket) {
      buckets.delete(bucket);
      await rm(bucketDir(bucket), { recursive: true });
    },
    stat: (bucket, key) => bucketOf(bucket).objects.get(key),
    list(name) {
      const bucket = bucketOf(name);
      bucket.sorted ??= [...bucket.objects.values()].sort((a, b) =>
        Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)),
      );
      return bucket.sorted;
    },
    async openObject(bucket, key) {
      if (!bucketOf(bucket).objects.has(key)) return undefined;
      const file = await open(pathOf(bucket, key), 'r');
      return { file, object: await readHeaderOf(file), start: HEADER_BYTES };
    },
    async upload(bucket) {
      const temporary = join(bucketDir(bucket), `tmp-${randomBytes(8).toString('hex')}`);
      const file = await open(temporary, 'wx', 0o600);
      const md5 = createHash('md5');
      const sha256 = createHash('sha256');
      let size = 0;
      return {
        async write(part) {
          await file.write(part, 0, part.length, HEADER_BYTES + size);
          md5.update(part);
          sha256.update(part);
          size += part.length;
        },
        digests: () => ({ md5: md5.copy().digest(), sha256: sha256.copy().digest('hex'), size }),
        async commit({ key, storageClass, ifAbsent }) {
          const stored: StoredObject = { key, size, md5: md5.copy().digest('hex'), modified: Date.now(), storageClass };
          await file.write(Buffer.from(`${JSON.stringify(stored)}\n`.padEnd(HEADER_BYTES)), 0, HEADER_BYTES, 0);
          await file.sync();
          await file.close();
          const home = bucketOf(bucket);
          // Nothing is awaited between the look and the entry: this is what makes one of two racers win.
          if (ifAbsent && home.objects.has(key)) {
            await rm(temporary);
            return false;
          }
          renameSync(temporary, pathOf(bucket, key));
          home.objects.set(key, stored);
          home.sorted = undefined;
          return true;
        },
        async abandon() {
          await file.close();
          await rm(temporary, { force: true });
        },
      };
    },
    async remove(name, key) {
      const bucket = bucketOf(name);
      if (!bucket.objects.delete(key)) return;
      bucket.sorted = undefined;
      await rm(pathOf(name, key), { force: true });
    },
  };
}

async function readHeader(path: string): Promise<StoredObject> {
  const file = await open(path, 'r');
  try {
    return await readHeaderOf(file);
  } finally {
    await file.close();
  }
}

async function readHeaderOf(file: FileHandle): Promise<StoredObject> {
  const { buffer } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
  return JSON.parse(buffer.toString('utf8')) as StoredObject;
}
