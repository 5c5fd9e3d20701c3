/** `scrub --all --repair` where a chunk is in no place any more: what files still have is stored again, the rest is given up, and both are told. */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, makeVaultFixture } from './fixture.ts';

let fixture: Fixture;
/** The snapshot that has `sub/b.txt`, and one that has it not. */
let first: string;
let gone: string;
let content: Buffer;
beforeEach(async () => {
  fixture = await makeVaultFixture();
  gone = join(fixture.tree, 'sub', 'b.txt');
  content = readFileSync(gone);
  first = (await fixture.json(['snapshot', 'list'])).data.snapshots[0].id;
});
afterEach(() => fixture.remove());

/** A pack's eleventh byte says what is in it (docs/formats/pack.md): 1 for the content of files. */
function removeDataPacks(): void {
  const folder = join(fixture.dataDir, 'packs');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.pack') && readFileSync(join(folder, name))[10] === 1) rmSync(join(folder, name));
}

const damagedOnes = async (): Promise<string[]> =>
  (await fixture.json(['snapshot', 'list'])).data.snapshots
    .filter((one: { damaged: boolean }) => one.damaged)
    .map((one: { id: string }) => one.id);

test('the chunk of a file that is gone is given up: its snapshot is damaged for ever, everything else counts', {
  timeout: 400_000,
}, async () => {
  rmSync(gone);
  removeDataPacks();
  expect((await fixture.json(['scrub', '--all'], 7)).data).toMatchObject({ given_up: { chunks: 0 } });
  const { data, warnings } = await fixture.json(['scrub', '--all', '--repair'], 7);
  expect(data.lost.chunks).toBe(4);
  expect(data.given_up).toMatchObject({ chunks: 1, stored_again: 3, waits_for: [] });
  expect(data.given_up.snapshots.map((one: { id: string }) => one.id)).toEqual([first]);
  expect(warnings.find((one: { code: string }) => one.code === 'W_GIVING_UP').message).toContain(first.slice(0, 8));
  expect(await damagedOnes()).toEqual([first]);
  expect((await fixture.run(['snapshot', 'list'])).stdout).toMatch(/damaged/);
  expect((await fixture.run(['where', `${first}:a.txt`])).stdout).toMatch(/snapshot is damaged/);
  expect((await fixture.run(['status'])).stdout).toMatch(/damaged: +1 snapshots/);
  expect((await fixture.json(['doctor'])).data.checks).toContainEqual(
    expect.objectContaining({ what: 'snapshots', result: 'warning' }),
  );

  const target = join(fixture.folder, 'first');
  const restored = await fixture.json(['restore', first, '--target', target], 3);
  expect(restored.data.failures.map((one: { path: string }) => one.path)).toEqual(['sub/b.txt']);
  expect(readFileSync(join(target, 'a.txt'))).toEqual(readFileSync(join(fixture.tree, 'a.txt')));
  await fixture.json(['restore', 'latest', '--target', join(fixture.folder, 'latest')]);

  // It is no new loss, with the index built anew, too.
  expect((await fixture.json(['scrub', '--all'])).data).toMatchObject({ lost: { chunks: 0 }, files: [], findings: [] });
  for (const name of readdirSync(fixture.dataDir))
    if (name.startsWith('index.sqlite')) rmSync(join(fixture.dataDir, name));
  expect((await fixture.json(['scrub', '--all', '--repair'])).data).toMatchObject({
    lost: { chunks: 0 },
    given_up: { chunks: 0 },
  });
  expect(await damagedOnes()).toEqual([first]);

  // The chunk comes back: an ordinary add, and only new snapshots count.
  writeFileSync(gone, content);
  await fixture.json(['sync']);
  expect(await damagedOnes()).toEqual([first]);
  await fixture.json(['scrub', '--all']);
  await fixture.json(['restore', 'latest', '--target', join(fixture.folder, 'back')]);
  expect(readFileSync(join(fixture.folder, 'back', 'sub', 'b.txt'))).toEqual(content);
});

test('what the files still have is added from them first: nothing is given up', async () => {
  removeDataPacks();
  const { data } = await fixture.json(['scrub', '--all', '--repair'], 7);
  expect(data.given_up).toMatchObject({ chunks: 0, stored_again: 4, snapshots: [], waits_for: [] });
  expect(await damagedOnes()).toEqual([]);
  await fixture.json(['scrub', '--all']);
  await fixture.json(['restore', first, '--target', join(fixture.folder, 'first')]);
});

test('nothing is given up while the folder of the root is not there: its files may have it', async () => {
  removeDataPacks();
  renameSync(fixture.tree, `${fixture.tree}.unmounted`);
  const { data } = await fixture.json(['scrub', '--all', '--repair'], 7);
  expect(data.given_up).toMatchObject({ chunks: 0, snapshots: [] });
  expect(data.given_up.waits_for.join()).toMatch(/root tree could not be captured/);
  expect(await damagedOnes()).toEqual([]);
  renameSync(`${fixture.tree}.unmounted`, fixture.tree);
});

test('a damaged copy without any other is given up too, and its mark goes', async () => {
  rmSync(gone);
  const folder = join(fixture.dataDir, 'packs');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.pack')) continue;
    const bytes = readFileSync(join(folder, name));
    if (bytes[10] !== 1) continue;
    // Each frame is behind its header of 48 bytes, the first one at byte 64; the whole pack is spoiled.
    for (let at = 112; at < bytes.length - 400; at += 16) bytes[at]! ^= 1;
    writeFileSync(join(folder, name), bytes);
  }
  const { data } = await fixture.json(['scrub', '--all', '--repair'], 7);
  expect(data.given_up).toMatchObject({ chunks: 1, stored_again: 3, waits_for: [] });
  expect(await damagedOnes()).toEqual([first]);
  const again = await fixture.run(['scrub', '--all', '--json']);
  expect([again.exitCode, JSON.parse(again.stdout).data.findings]).toEqual([0, []]);
  expect((await fixture.json(['status'])).data.losses).toEqual([]);
});

test('a folder listing that was given up before does not keep anything else from being given up', {
  timeout: 400_000,
}, async () => {
  const metaPacks = (): string[] => {
    const folder = join(fixture.dataDir, 'packs');
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.pack') && readFileSync(join(folder, name))[10] !== 1)
      .map((name) => join(folder, name));
  };
  const old = metaPacks();
  rmSync(gone);
  writeFileSync(join(fixture.tree, 'c.txt'), 'only in the second');
  const { data: synced } = await fixture.json(['sync']);
  const second = synced.roots[0].snapshot;
  for (const pack of old) rmSync(pack);
  expect((await fixture.json(['scrub', '--all', '--repair'], 7)).data.given_up.snapshots).toMatchObject([
    { id: first },
  ]);
  expect((await fixture.json(['scrub', '--all'])).data).toMatchObject({ lost: { chunks: 0 }, files: [] });
  rmSync(join(fixture.tree, 'c.txt'));
  await fixture.json(['sync']);
  removeDataPacks();
  const { data } = await fixture.json(['scrub', '--all', '--repair'], 7);
  // The chunk of `b.txt` as well: it lies below the listing that is gone, and no walk meets it.
  expect(data.given_up).toMatchObject({ chunks: 2, waits_for: [] });
  expect(data.given_up.snapshots.map((one: { id: string }) => one.id)).toEqual([second]);
  expect((await damagedOnes()).sort()).toEqual([first, second].sort());
  await fixture.json(['scrub', '--all']);
});
