/** The checker itself: it sees what is there, what is not, and what is damaged. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cutShort, dataPacksBelow, flipByte, Image, packsBelow } from '../kit/media.ts';
import { OwnerAndHolders } from '../owner-and-holders.ts';
import { whyNoBeliefs } from './check-beliefs.ts';

let scene: OwnerAndHolders;
let images: Image[];
beforeAll(async () => {
  scene = await OwnerAndHolders.make({ bucket: true });
  await scene.mustSync('s3');
  images = [new Image(scene.vault.dataDir), new Image(scene.bucket)];
});
afterAll(async () => {
  for (const image of images) image.remove();
  await scene.remove();
});

function removeAll(paths: readonly string[]): void {
  for (const path of paths) rmSync(path);
}

const each: [string, () => void, readonly RegExp[]][] = [
  ['nothing is wrong', () => {}, []],
  [
    'a changed byte in a chunk of the bucket',
    () => flipByte(dataPacksBelow(scene.bucket)[0]!, 200),
    [/s3: bucket: E_NOT_FOUND/],
  ],
  ['no packs in the bucket', () => removeAll(packsBelow(scene.bucket)), [/s3: bucket/]],
  // The chunks are in the bucket, where a cold tier would have them.
  ['no packs here', () => removeAll(packsBelow(scene.vault.dataDir)), []],
  ['a pack without its end', () => cutShort(dataPacksBelow(scene.bucket)[0]!, 30), []],
  ['a pack that lost half', () => cutShort(dataPacksBelow(scene.bucket)[0]!, 400_000), [/s3: bucket/]],
];

test.skipIf(whyNoBeliefs() !== undefined).each(each)('%s', (_, damage, problems) => {
  for (const image of images) image.putBack();
  damage();
  const found = scene.brokenBeliefs();
  expect(found).toHaveLength(problems.length);
  for (const [at, problem] of problems.entries()) expect(found[at]).toMatch(problem);
});
