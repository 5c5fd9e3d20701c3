import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkObjectKey } from '../objects/object-key.ts';
import {
  cardKeyOf,
  packKeyOf,
  parseBucketKey,
  segmentKeyOf,
  slotKeyOf,
  storeIdKeyOf,
  vaultKeyOf,
} from './bucket-layout.ts';

const hexOf = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b).toString('hex'));
const life = fc.record({ agent: hexOf(16), incarnation: fc.integer({ min: 1, max: 0xffff_ffff }) });

describe('bucket layout', () => {
  it('has keys that every store takes, and that say again what they are', () => {
    fc.assert(
      fc.property(
        hexOf(16),
        life,
        hexOf(32),
        hexOf(16),
        fc.tuple(fc.nat({ max: 2 ** 40 }), fc.nat({ max: 2 ** 40 })),
        (vault, owner, name, slotId, [a, b]) => {
          const sha256 = slotId.slice(0, 16);
          const segment = { ...owner, first: Math.min(a, b) + 1, last: Math.max(a, b) + 1, sha256 };
          const all = [
            [vaultKeyOf(vault), { kind: 'vault', vault }],
            [storeIdKeyOf(vault), { kind: 'store-id', vault }],
            [slotKeyOf(vault, slotId), { kind: 'slot', vault, slotId }],
            [cardKeyOf(vault, owner), { kind: 'card', vault, ...owner }],
            [
              packKeyOf(vault, { ...owner, name, packClass: 'data' }),
              { kind: 'pack', vault, ...owner, name, packClass: 'data' },
            ],
            [
              packKeyOf(vault, { ...owner, name, packClass: 'meta' }),
              { kind: 'pack', vault, ...owner, name, packClass: 'meta' },
            ],
            [segmentKeyOf(vault, segment), { kind: 'segment', vault, ...segment }],
          ] as const;
          for (const [key, what] of all) {
            checkObjectKey(key);
            expect(parseBucketKey(key)).toEqual(what);
          }
        },
      ),
    );
  });

  it('takes nothing foreign for its own', () => {
    const vault = 'ab'.repeat(16);
    for (const key of [
      '',
      'readme.txt',
      `${vault}`,
      `${vault}/vault.edge.bak`,
      `${vault}/slots/x.slot`,
      `${vault.toUpperCase()}/vault.edge`,
      `${vault}/cards/${vault}-0.card`,
      `${vault}/data/${vault}/00000001/ff/${'ab'.repeat(32)}.pack`,
      `${vault}/data/${vault}/1/ab/${'ab'.repeat(32)}.pack`,
      `${vault}/tree/${vault}/00000001/ab/${'ab'.repeat(32)}.pack`,
      `${vault}/${vault}/00000001/packs/ab/${'ab'.repeat(32)}.pack`,
      `${vault}/store.id.bak`,
      `${vault}/${vault}/log/00000001-0000000000000001-0000000000000002-${'ab'.repeat(8)}.seg`,
      `${vault}/${vault}/log/00000001-ffffffffffffffff-ffffffffffffffff-${'ab'.repeat(8)}.seg`,
      `${vault}/${vault}/log/00000000-0000000000000002-0000000000000001-${'ab'.repeat(8)}.seg`,
      `other/${vault}/vault.edge`,
    ]) {
      expect(parseBucketKey(key), key).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.string(), (key) => {
        parseBucketKey(key);
      }),
    );
  });
});
