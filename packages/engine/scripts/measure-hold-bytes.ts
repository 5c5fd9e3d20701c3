/**
 * Measures the bytes of the index a held chunk (docs/chain.md 12: at most 40): node scripts/measure-hold-bytes.ts [CHUNKS]
 * Every form is a chunk of its own; no frame is here, so the index of what is not satisfied has a row for each as well in the second figure.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FORMS_MAX, type Form } from '../src/chain/forms.ts';
import { openDatabase } from '../src/index/database.ts';
import { openIndex } from '../src/index/open-index.ts';
import { realClock } from '../src/testing/real-clock.ts';

const chunks = Number(process.argv[2] ?? 1_000_000);
const vault = 'ab'.repeat(16);
const folder = mkdtempSync(join(tmpdir(), 'hold-bytes-'));
const path = join(folder, 'index.sqlite');
try {
  const index = openIndex(path, { clock: realClock, vault });
  const { chain } = index.chainTable.add('cd'.repeat(16), true);
  const started = process.hrtime.bigint();
  let seq = 0;
  for (let done = 0; done < chunks; done += FORMS_MAX) {
    const forms = Array.from({ length: Math.min(FORMS_MAX, chunks - done) }, madeForm);
    index.holds.applyAdd(chain, 1, ++seq, forms, 'wanted');
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  index.close();
  const { db } = openDatabase(path, vault, realClock);
  const bytesOf = (name: string): number =>
    db.prepare<[string], number>('SELECT sum(pgsize) FROM dbstat WHERE name = ?').pluck().get(name) ?? 0;
  const rows = bytesOf('holds') / chunks;
  const unsatisfied = bytesOf('holds_unsatisfied') / chunks;
  db.close();
  process.stdout.write(
    `${chunks} holds: ${rows.toFixed(1)} bytes each, ${(rows + unsatisfied).toFixed(1)} while wanted; ${(chunks / seconds).toFixed(0)} a second\n`,
  );
} finally {
  rmSync(folder, { recursive: true });
}

function madeForm(): Form {
  return {
    id: new Uint8Array(randomBytes(32)),
    sealedSha256: new Uint8Array(32),
    sealedBytes: 1000,
    keyId: 1,
    formClass: 'data',
  };
}
