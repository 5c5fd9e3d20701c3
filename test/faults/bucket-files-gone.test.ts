/**
 * Chain segments and vault files that are gone from a bucket: a scrub tells it, the bucket counts for nothing until
 * they are there again, and a recovery from it is whole then.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { faultTest } from './fault-test.ts';
import { OwnerAndHolders } from './owner-and-holders.ts';

let scene: OwnerAndHolders;
afterEach(() => scene.remove());

interface Scrubbed {
  readonly chains: readonly { readonly damaged: number; readonly repaired: number; readonly messages: string[] }[];
}
interface Status {
  readonly roots: readonly { readonly copies: { readonly have: number } | null }[];
}

function objects(pattern: RegExp): string[] {
  return readdirSync(scene.bucket, { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(scene.bucket, name));
}

faultTest(
  'one or all segments, the descriptor, slots or cards gone or changed in a bucket: 20, no copy, then put again by a repair',
  async () => {
    scene = await OwnerAndHolders.make({ bucket: true });
    for (let i = 0; i < 3; i++) {
      scene.vault.edit(3000 + i);
      await scene.mustSync('s3');
    }
    const copies = async () => (await scene.json<Status>(['status'])).roots[0]!.copies?.have;
    const scrub = (args: readonly string[], exit: number) => scene.json<Scrubbed>(['scrub', '--all', ...args], [exit]);
    await scrub([], 0);
    const remove = (pattern: RegExp, count?: number) => () => {
      const found = objects(pattern).slice(0, count);
      expect(found.length, String(pattern)).toBeGreaterThan(0);
      for (const file of found) rmSync(file);
    };
    const change = (pattern: RegExp) => () => {
      const [file] = objects(pattern);
      const bytes = readFileSync(file!);
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(file!, bytes);
    };
    const ways: readonly [string, () => void][] = [
      ['one segment', remove(/\.seg$/, 1)],
      ['all segments', remove(/\.seg$/)],
      ['the descriptor', remove(/vault\.edge$/)],
      ['slots', remove(/slots\/[^/]+$/)],
      ['cards', remove(/cards\/[^/]+$/)],
      ['a changed slot', change(/slots\/[^/]+$/)],
      ['a changed descriptor', change(/vault\.edge$/)],
    ];
    for (const [what, damage] of ways) {
      damage();
      const dry = await scrub(['--dry-run'], what.startsWith('a changed') ? 0 : 20);
      if (!what.startsWith('a changed')) {
        expect(dry.chains[0]!.messages.join(), what).toMatch(/gone/);
        expect(await copies(), `${what}: a dry run notes nothing`).toBe(1);
      }
      expect((await scrub([], 20)).chains[0]!.damaged, what).toBeGreaterThan(0);
      expect(await copies(), what).toBe(0);
      const repaired = await scrub(['--repair'], 0);
      expect(repaired.chains.length === 0 || repaired.chains[0]!.damaged === 0, what).toBe(true);
      await scrub([], 0);
      expect(await copies(), `${what}, put again`).toBe(1);
    }
    await scene.lastComesFrom(`file://${scene.bucket}`, 'after all of it');
    // With nothing told before, a repair alone finds and mends it, and so does a sync.
    remove(/\.seg$/)();
    const once = await scrub(['--repair'], 0);
    expect(once.chains[0]).toMatchObject({ damaged: 0 });
    expect(once.chains[0]!.repaired).toBeGreaterThan(0);
    remove(/\.seg$|vault\.edge$/)();
    await scene.mustSync('s3');
    await scene.lastComesFrom(`file://${scene.bucket}`, 'after a sync');
  },
  { timeout: 600_000 },
);
