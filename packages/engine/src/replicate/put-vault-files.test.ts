import { describe, expect, it } from 'vitest';
import type { KeyValue } from '../core/ports/index.ts';
import { slotKeyOf, slotRemovalKeyOf, vaultKeyOf } from '../store/bucket/bucket-layout.ts';
import { openBucketVault } from '../store/bucket/bucket-vault.ts';
import { createMemoryObjectStore } from '../store/objects/memory.ts';
import { putVaultFiles, type VaultFileKind } from './put-vault-files.ts';

const vault = 'aa'.repeat(16);
const [one, two] = ['11'.repeat(16), '22'.repeat(16)];
const life = { agent: 'bb'.repeat(16), incarnation: 1 };
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text));

function machine() {
  const kept = new Map<string, string>();
  const kv: KeyValue = {
    get: (key) => kept.get(key),
    set: (key, value) => void kept.set(key, value),
    delete: (key) => void kept.delete(key),
  };
  const here = {
    descriptor: 'epoch 1',
    slots: new Map([[one, 'slot 1']]),
    marks: new Map<string, string>(),
  };
  const shown: string[] = [];
  const puts: string[] = [];
  const memory = createMemoryObjectStore();
  const store = {
    ...memory,
    put: async (key: string, body: Uint8Array) => {
      puts.push(key.slice(vault.length + 1));
      await memory.put(key, body);
    },
  };
  const listOf = (files: ReadonlyMap<string, string>) =>
    [...files].map(([slotId, text]) => ({ slotId, bytes: bytesOf(text) }));
  const files = {
    descriptor: async () => bytesOf(here.descriptor),
    slots: async () => listOf(here.slots),
    removals: async () => listOf(here.marks),
    cards: async () => [{ ...life, bytes: bytesOf('card') }],
    /** Text with a later letter is newer; a mark of this vault begins with its slot's first digit. */
    mayReplace: async (kind: VaultFileKind, stored: Uint8Array) => {
      const text = Buffer.from(stored).toString();
      shown.push(`${kind} ${text}`);
      if (kind === 'descriptor' && text > here.descriptor) here.descriptor = text;
      if (kind === 'slot' && text === 'slot 2' && !here.marks.has(two)) here.slots.set(two, text);
      if (kind === 'removal' && text === 'mark 1') {
        here.marks.set(one, text);
        here.slots.delete(one);
      }
      return kind === 'descriptor' && text < here.descriptor;
    },
  };
  return {
    here,
    shown,
    puts,
    memory,
    sync: () =>
      putVaultFiles(openBucketVault(store, vault), { files, index: { kv } as never, requireSame: async () => {} }),
  };
}

const textAt = async (store: ReturnType<typeof machine>['memory'], key: string) => {
  const bytes = await store.get(key);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
};

describe("the vault's files in a bucket", () => {
  it('are put once, marks before slots and the descriptor last', async () => {
    const { here, puts, sync } = machine();
    here.marks.set(two, 'mark 2');
    await sync();
    expect(puts).toEqual([`slots/${two}.removed`, `slots/${one}.slot`, `cards/${life.agent}-1.card`, 'vault.edge']);
    await sync();
    expect(puts.length).toBe(4);
  });

  it('are put again where one is gone, alone', async () => {
    const { here, puts, memory, sync } = machine();
    here.marks.set(two, 'mark 2');
    await sync();
    for (const key of [slotRemovalKeyOf(vault, two), slotKeyOf(vault, one), vaultKeyOf(vault)]) {
      await memory.delete(key);
      puts.length = 0;
      await sync();
      expect(puts).toEqual([key.slice(vault.length + 1)]);
    }
  });

  it('are learned before anything is put: a higher epoch stays, an unknown slot is taken, a marked one is not put', async () => {
    const { here, puts, memory, sync } = machine();
    await memory.put(vaultKeyOf(vault), bytesOf('epoch 2'));
    await memory.put(slotKeyOf(vault, two), bytesOf('slot 2'));
    await memory.put(slotRemovalKeyOf(vault, one), bytesOf('mark 1'));
    await sync();
    expect(here.descriptor).toBe('epoch 2');
    expect([...here.slots.keys()]).toEqual([two]);
    expect(puts).toEqual([`cards/${life.agent}-1.card`]);
    expect(await textAt(memory, vaultKeyOf(vault))).toBe('epoch 2');
  });

  it('of a removed slot is the mark only: a slot that lies there again goes again', async () => {
    const { here, memory, sync } = machine();
    here.slots.delete(one);
    here.marks.set(one, 'mark 1');
    await sync();
    await memory.put(slotKeyOf(vault, one), bytesOf('slot 1'));
    await sync();
    expect(await textAt(memory, slotKeyOf(vault, one))).toBeUndefined();
    expect(await textAt(memory, slotRemovalKeyOf(vault, one))).toBe('mark 1');
  });

  it('are not read when they are too large to be one, and replaced', async () => {
    const { shown, memory, sync } = machine();
    await memory.put(vaultKeyOf(vault), new Uint8Array(1024 * 1024 + 1));
    await expect(openBucketVault(memory, vault).descriptor()).rejects.toMatchObject({ code: 'E_FORMAT' });
    await sync();
    expect(shown).toEqual([]);
    expect(await textAt(memory, vaultKeyOf(vault))).toBe('epoch 1');
  });
});
