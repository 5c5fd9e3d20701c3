/**
 * A read that verifies asks the medium: what the kernel remembers is as it was written, whatever the disk made of it.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { madeChunk, type OpenedStore, openStore, storeChunks, temporaryFolder } from '../../testing/store-fixture.ts';

/** What was forgotten and what was read, in order, as places in files. */
const steps = vi.hoisted(() => [] as string[]);
vi.mock('./page-cache.ts', async (importOriginal) => ({
  ...(await importOriginal<typeof import('./page-cache.ts')>()),
  readFromMedium: (_fd: number, offset: number, bytes: number) => steps.push(`forget ${offset} ${bytes}`),
}));
vi.mock('./read-pack-tail.ts', async (importOriginal) => {
  const actual = await importOriginal<typeof import('./read-pack-tail.ts')>();
  const readUpTo: typeof actual.readUpTo = (file, bytes, offset) => {
    steps.push(`read ${offset} ${bytes.length}`);
    return actual.readUpTo(file, bytes, offset);
  };
  return { ...actual, readUpTo };
});

let folder: ReturnType<typeof temporaryFolder>;
let store: OpenedStore;
beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore(folder.path);
});
afterEach(() => {
  store.close();
  folder.remove();
});

test('the kernel forgets each range of a pack before a verifying read of it, and not before another read', async () => {
  const chunks = Array.from({ length: 4 }, () => madeChunk(3_000_000));
  await storeChunks(store, chunks);
  const located = await store.chunks.locate(chunks.map(({ id }) => id));
  const addresses = located.filter((address) => address !== undefined);
  steps.length = 0;
  for await (const outcome of store.chunks.verify(addresses)) expect(outcome).toHaveProperty('sealed');
  const read = steps.filter((step) => step.startsWith('read'));
  expect(read.length).toBeGreaterThan(1);
  expect(steps).toEqual(read.flatMap((step) => [step.replace('read', 'forget'), step]));
  steps.length = 0;
  for await (const outcome of store.chunks.fetch(addresses)) expect(outcome).toHaveProperty('sealed');
  expect(steps).toEqual(read);
});
