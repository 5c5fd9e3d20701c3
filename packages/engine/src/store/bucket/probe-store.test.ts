import { expect, test } from 'vitest';
import { EdgeError } from '../../core/errors.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import type { Warning } from '../../core/ports/progress.ts';
import { FIXTURE_VAULT } from '../../testing/store-fixture.ts';
import { createMemoryObjectStore } from '../objects/memory.ts';
import { probeStore } from './probe-store.ts';

const warnings: Warning[] = [];
const deps = {
  random: (bytes: number) => new Uint8Array(bytes).fill(7),
  warn: (one: Warning) => void warnings.push(one),
};

test('a store that lists what is there passes, and nothing is left', async () => {
  const store = createMemoryObjectStore();
  await probeStore(store, FIXTURE_VAULT, deps);
  expect(await keysOf(store)).toEqual([]);
});

test('a store that does not list what was put, or lists what was deleted, is refused', async () => {
  const store = createMemoryObjectStore();
  await expect(probeStore({ ...store, async *list() {} }, FIXTURE_VAULT, deps)).rejects.toMatchObject({
    code: 'E_STORE',
    message: expect.stringContaining('does not list what was put'),
  });
  await expect(probeStore({ ...store, delete: async () => {} }, FIXTURE_VAULT, deps)).rejects.toMatchObject({
    code: 'E_STORE',
    message: expect.stringContaining('still lists what was deleted'),
  });
});

test('a store that lets nothing be deleted is told, and counts', async () => {
  const store = createMemoryObjectStore();
  const refuse = async (): Promise<void> => {
    throw new EdgeError('E_DENIED', 'no');
  };
  await probeStore({ ...store, delete: refuse }, FIXTURE_VAULT, deps);
  expect(warnings).toEqual([expect.objectContaining({ code: 'W_STORE_KEEPS' })]);
});

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}
