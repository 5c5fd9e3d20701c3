import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toHex } from '../core/ids.ts';
import { encodeHoldLogItem } from '../log/hold-batch.ts';
import { goldenJson } from '../testing/golden-json.ts';
import { ownerFixture } from '../testing/owner-fixture.ts';
import { openStore, temporaryFolder } from '../testing/store-fixture.ts';

const HOLDER = 'ee'.repeat(16);

interface Golden {
  readonly owner: string;
  /** The file `holds/<owner>.log`, hex. */
  readonly holdLog: string;
  readonly lastOp: number;
  readonly headSeq: number;
  readonly held: readonly { readonly id: string; readonly sealedSha256: string }[];
}

function produce(): Golden {
  const owner = ownerFixture('golden holds');
  const chunks = ['one', 'two', 'three'].map((text) => owner.chunk(text));
  const first = owner.batch(chunks.slice(0, 2), 1, HOLDER);
  owner.record();
  const second = owner.batch(chunks.slice(1), 2, HOLDER);
  return {
    owner: owner.agent,
    holdLog: toHex(Buffer.concat([encodeHoldLogItem(first), encodeHoldLogItem(second)])),
    lastOp: 2,
    headSeq: 1,
    held: chunks.map((chunk) => ({ id: toHex(chunk.id), sealedSha256: toHex(chunk.sha256) })),
  };
}

test('a hold log of version 1 is read into the index for ever', async () => {
  const golden = goldenJson(new URL('./golden/hold-log-1.json', import.meta.url), produce);
  const folder = temporaryFolder();
  mkdirSync(join(folder.path, 'holds'));
  writeFileSync(join(folder.path, 'holds', `${golden.owner}.log`), Buffer.from(golden.holdLog, 'hex'));
  const store = await openStore(folder.path);
  expect(store.reconciled).toMatchObject({ holdBatches: 2, problems: [] });
  expect(store.index.holds.ownerState(golden.owner)).toMatchObject({
    lastOp: golden.lastOp,
    held: golden.held.length,
    head: { seq: golden.headSeq },
  });
  const ids = golden.held.map(({ id }) => new Uint8Array(Buffer.from(id, 'hex')));
  expect(store.index.holds.heldSha256(golden.owner, ids).map((hash) => hash && toHex(hash))).toEqual(
    golden.held.map(({ sealedSha256 }) => sealedSha256),
  );
  store.close();
  folder.remove();
});
