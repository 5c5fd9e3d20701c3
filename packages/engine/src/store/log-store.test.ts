import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decodeEnvelope } from '../log/record.ts';
import { type OwnerFixture, ownerFixture } from '../testing/owner-fixture.ts';
import { temporaryFolder } from '../testing/store-fixture.ts';
import { openLogStore } from './log-store.ts';

let folder: ReturnType<typeof temporaryFolder>;
let owner: OwnerFixture;
let serial = 0;
beforeEach(() => {
  folder = temporaryFolder();
  owner = ownerFixture(`owner ${++serial}`);
});
afterEach(() => folder.remove());

const dir = (): string => join(folder.path, owner.agent);
const files = (): string[] => readdirSync(dir()).filter((name) => name.endsWith('.log'));
const lastFile = (): string => join(dir(), files().at(-1)!);

async function seqs(log: Awaited<ReturnType<typeof openLogStore>>, options = {}): Promise<string[]> {
  const out: string[] = [];
  for await (const record of log.read(owner.agent, options)) {
    const { incarnation, seq } = decodeEnvelope(record);
    out.push(`${incarnation}/${seq}`);
  }
  return out;
}

async function written(count: number): Promise<Awaited<ReturnType<typeof openLogStore>>> {
  const log = await openLogStore(folder.path);
  for (let i = 0; i < count; i++) expect(await log.append(owner.record().bytes)).toBe(true);
  return log;
}

const snapshotOf = (bytes: number) =>
  ({
    type: 'settings',
    settings: {
      agentName: 'a',
      site: 's',
      configJson: JSON.stringify(
        Buffer.from(crypto.getRandomValues(new Uint8Array(Math.min(65_536, bytes)))).toString('hex'),
      ),
      roots: [],
    },
  }) as const;

test('records come back in order, from any place on, also after opening again', async () => {
  const log = await written(5);
  expect(await seqs(log)).toEqual(['1/1', '1/2', '1/3', '1/4', '1/5']);
  const again = await openLogStore(folder.path);
  expect(again.head(owner.agent)).toEqual(owner.head);
  expect(again.agents()).toEqual([owner.agent]);
  expect(await seqs(again, { after: { incarnation: 1, seq: 3 } })).toEqual(['1/4', '1/5']);
  expect(await again.append(owner.record().bytes)).toBe(true);
  expect(again.moved).toEqual([]);
  expect(statSync(lastFile()).mode & 0o777).toBe(0o600);
});

test('a long log is kept in several files and read through all of them', async () => {
  const log = await openLogStore(folder.path);
  for (let i = 0; i < 24; i++) await log.append(owner.record(snapshotOf(65_536)).bytes);
  expect(files().length).toBeGreaterThan(1);
  const again = await openLogStore(folder.path);
  expect(await seqs(again)).toHaveLength(24);
  expect(await seqs(again, { after: { incarnation: 1, seq: 20 } })).toHaveLength(4);
});

test('the same record again changes nothing; another one in its place is a fork and is kept as proof', async () => {
  const log = await openLogStore(folder.path);
  const first = owner.record();
  const before = owner.head;
  await log.append(first.bytes);
  const second = owner.record();
  await log.append(second.bytes);
  expect(await log.append(first.bytes)).toBe(false);
  owner.head = before;
  const other = owner.record({ type: 'unpin', snapshot: 'bb'.repeat(32) });
  await expect(log.append(other.bytes)).rejects.toMatchObject({ code: 'E_FORK', exitCode: 9 });
  const proof = readdirSync(dir()).find((name) => name.startsWith('fork-'));
  expect(readFileSync(join(dir(), proof!)).equals(other.bytes)).toBe(true);
  expect(await seqs(log)).toEqual(['1/1', '1/2']);
  const third = owner.record();
  await expect(log.append(third.bytes)).rejects.toMatchObject({ code: 'E_FORK' });
});

test('a gap is refused and says what is there', async () => {
  const log = await written(1);
  owner.record();
  await expect(log.append(owner.record().bytes)).rejects.toMatchObject({
    code: 'E_FAILED',
    retryable: true,
    context: { have: { seq: 1 } },
  });
});

test('a takeover goes on in files of its own, and late records of the older life come in its order', async () => {
  const log = await written(2);
  const base = owner.head;
  const late = owner.record().bytes;
  owner.head = base;
  owner.incarnation = 2;
  await log.append(owner.record({ type: 'takeover', card: new Uint8Array(1), base }).bytes);
  expect(log.head(owner.agent)).toMatchObject({ incarnation: 2, seq: 3 });
  await log.append(late);
  const again = await openLogStore(folder.path);
  expect(await seqs(again)).toEqual(['1/1', '1/2', '1/3', '2/3']);
  expect(again.head(owner.agent)).toMatchObject({ incarnation: 2, seq: 3 });
});

test('cut anywhere in the last record: the end is moved aside and the rest is whole', async () => {
  await written(3);
  const path = lastFile();
  const whole = readFileSync(path);
  const lastBytes = whole.readUInt32LE(0) + 4;
  for (let cut = 1; cut < lastBytes; cut += 13) {
    writeFileSync(path, whole.subarray(0, whole.length - cut));
    const log = await openLogStore(folder.path);
    expect(log.moved).toHaveLength(1);
    expect(readFileSync(log.moved[0]!.path)).toHaveLength(lastBytes - cut);
    expect(await seqs(log)).toEqual(['1/1', '1/2']);
    rmSync(log.moved[0]!.path);
  }
});

test('an end of zeros, or of blocks that never arrived, is what a power loss leaves', async () => {
  await written(2);
  const path = lastFile();
  const whole = readFileSync(path);
  const zeros = Buffer.from(whole);
  zeros.fill(0, whole.length - 150);
  for (const torn of [Buffer.concat([whole, Buffer.alloc(700)]), zeros]) {
    writeFileSync(path, torn);
    const log = await openLogStore(folder.path);
    expect(log.moved).toHaveLength(1);
    rmSync(log.moved[0]!.path);
  }
});

test('but when the index knows that the record was acknowledged, it is damage and the file stays as it is', async () => {
  await written(3);
  const path = lastFile();
  truncateSync(path, statSync(path).size - 20);
  const size = statSync(path).size;
  const knownHeads = [{ agent: owner.agent, head: owner.head! }];
  await expect(openLogStore(folder.path, { knownHeads })).rejects.toMatchObject({
    code: 'E_INTEGRITY',
    exitCode: 7,
    message: expect.stringContaining(path),
  });
  expect(statSync(path).size).toBe(size);
  rmSync(path);
  await expect(openLogStore(folder.path, { knownHeads })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  rmSync(dir(), { recursive: true });
  await expect(openLogStore(folder.path, { knownHeads })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
});

test('a flipped byte is never taken for a torn end: it is named with file and offset, when opening or when reading', async () => {
  await written(3);
  const path = lastFile();
  const whole = readFileSync(path);
  const knownHeads = [{ agent: owner.agent, head: owner.head! }];
  for (let at = 0; at < whole.length; at += 5) {
    const bytes = Buffer.from(whole);
    bytes[at] = bytes[at]! ^ 0x20;
    writeFileSync(path, bytes);
    const found = await openLogStore(folder.path, { knownHeads })
      .then((log) => seqs(log))
      .catch((error: { code: string; message: string }) => error);
    expect(found, `byte ${at}`).toMatchObject({ code: expect.stringMatching(/^E_(INTEGRITY|NEWER_FORMAT)$/) });
    expect(readFileSync(path).equals(bytes)).toBe(true);
  }
});

test("damage in another agent's log stops that log, not this agent", async () => {
  const log = await written(4);
  const other = ownerFixture('undamaged');
  await log.append(other.record().bytes);
  const path = lastFile();
  const bytes = readFileSync(path);
  bytes[bytes.readUInt32LE(0) + 8] = 0;
  writeFileSync(path, bytes);
  const knownHeads = [{ agent: owner.agent, head: owner.head! }];
  await expect(openLogStore(folder.path, { knownHeads, self: owner.agent })).rejects.toMatchObject({
    code: 'E_INTEGRITY',
  });
  const again = await openLogStore(folder.path, { knownHeads, self: other.agent });
  expect(again.problems[0]!.message).toContain(path);
  expect(again.head(owner.agent)).toEqual(owner.head);
  await expect(again.append(owner.record().bytes)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  expect(await again.append(other.record().bytes)).toBe(true);
  expect(await seqs(again, { onDamage: () => {} })).toEqual(['1/1', '1/3', '1/4']);
  await expect(seqs(again)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
});

test('reading can step over damage when told to', async () => {
  const log = await written(4);
  const path = lastFile();
  const bytes = readFileSync(path);
  const second = bytes.readUInt32LE(0) + 4;
  bytes[second + 4] = 0;
  writeFileSync(path, bytes);
  const problems: string[] = [];
  expect(await seqs(log, { onDamage: (error: Error) => problems.push(error.message) })).toEqual(['1/1', '1/3', '1/4']);
  expect(problems.join()).toContain(`byte ${second}`);
});

test('a file that was begun and has nothing yet is no record and no damage', async () => {
  await written(2);
  writeFileSync(join(dir(), '00000001-0000000000000003.log'), '');
  const log = await openLogStore(folder.path, { knownHeads: [{ agent: owner.agent, head: owner.head! }] });
  expect(await log.append(owner.record().bytes)).toBe(true);
  expect(await seqs(await openLogStore(folder.path))).toEqual(['1/1', '1/2', '1/3']);
  expect(existsSync(dir())).toBe(true);
});
