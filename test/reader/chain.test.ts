/** The reader in Python reads chains that the engine's pure layer writes: trails, takeovers, branches, checkpoints, and everything that it refuses. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeChainItem } from '../../packages/engine/src/chain/chain-segment.ts';
import type { Position } from '../../packages/engine/src/chain/position.ts';
import { type CheckedSnapshot, encodeCheckpointEntries } from '../../packages/engine/src/chain/record-checkpoint.ts';
import type { WholeEntry } from '../../packages/engine/src/chain/record-entry.ts';
import { loadSodium } from '../../packages/engine/src/codec/sodium.ts';
import { encodeCard } from '../../packages/engine/src/keys/card.ts';
import type { SnapshotBody } from '../../packages/engine/src/log/record-body.ts';
import { type ChainWriter, chainWriter, makeForm } from '../../packages/engine/src/testing/chain-writer.ts';
import { createSeededRandom } from '../../packages/engine/src/testing/seeded-random.ts';
import { tempFolders } from '../support/temp-folder.ts';
import { missingForReader, runPython } from './python-reader.ts';

const newFolder = tempFolders('reader-chain');
const sodium = await loadSodium();
const missing = missingForReader();
const adminSeed = new Uint8Array(32).fill(9);
const ADMIN = Buffer.from(sodium.crypto_sign_seed_keypair(adminSeed).publicKey).toString('hex');

const snapshot = (root: string): SnapshotBody => ({
  type: 'snapshot',
  root,
  path: Buffer.from('/srv'),
  timeNs: 0n,
  entry: { name: new Uint8Array(0), type: 'dir', mtimeNs: 0n, posix: { mode: 0o755, uid: 0, gid: 0 } },
  stats: { files: 0, dirs: 0, others: 0, bytes: 0, newBytes: 0, storedBytes: 0 },
  failed: 0,
  program: 'test',
});

/** The next incarnation takes over at a base. */
function takeOver(owner: ChainWriter, base: Position | undefined, seed = adminSeed): WholeEntry {
  if (owner.entries.length > 0) owner.incarnation++;
  owner.position = base;
  const card = {
    vaultId: owner.vault,
    agentId: owner.agent,
    incarnation: owner.incarnation,
    name: 'n',
    site: 's',
    role: 'edge' as const,
    signPublicKey: owner.signPublicKey,
    tlsSpkiSha256: new Uint8Array(32),
    addresses: [],
    base,
    number: 1,
  };
  return owner.takeover(encodeCard(sodium, card, seed));
}

function newOwner(name: string): ChainWriter {
  const owner = chainWriter(name);
  takeOver(owner, undefined);
  return owner;
}

/** Files below `chains/<agent>/`, by name. */
type Files = Readonly<Record<string, readonly (WholeEntry | { head: WholeEntry['head']; body: undefined })[]>>;

interface Read {
  readonly rows: readonly { onTrail: boolean; seq: number; root: string; damaged: boolean }[];
  readonly error: string;
  readonly warnings: string;
}

function read(owner: ChainWriter, files: Files, cutBytes = 0): Read {
  const { rows, error, warnings } = readChains(write(owner, files, cutBytes), owner, ADMIN);
  return { rows, error, warnings };
}

/** A folder with these files; the last bytes of each are left out. */
function write(owner: ChainWriter, files: Files, cutBytes = 0): string {
  const folder = newFolder();
  for (const [name, entries] of Object.entries(files)) {
    const path = join(folder, 'chains', owner.agent, name);
    mkdirSync(dirname(path), { recursive: true });
    const bytes = Buffer.concat(entries.map(encodeChainItem));
    writeFileSync(path, bytes.subarray(0, bytes.length - cutBytes));
  }
  return folder;
}

/** Reads the chain as it is and, for each place, with a bit flipped there in its one file: the errors of those. */
function readChains(
  folder: string,
  owner: Pick<ChainWriter, 'vault' | 'agent' | 'keys'>,
  admin: string,
  places: readonly number[] = [],
): Read & { readonly errors: readonly string[] } {
  const [generation] = owner.keys.generations;
  const recordKey = Buffer.from(generation?.recordKey ?? []).toString('hex');
  const script = `
import json, pathlib
import read_vault as reader
class Vault:
    path, id = pathlib.Path(${JSON.stringify(folder)}), bytes.fromhex("${owner.vault}")
    admin, record = bytes.fromhex("${admin}"), {1: bytes.fromhex("${recordKey}")}
def read():
    try: return reader.read_snapshots(reader.read_entries(Vault(), bytes.fromhex("${owner.agent}"))), ""
    except reader.VaultError as error: return [], str(error)
rows, error = read()
file, errors = next(Vault.path.glob("chains/*/*.chain")), []
whole = file.read_bytes()
for place in ${JSON.stringify(places)}:
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1:])
    errors.append(read()[1])
rows = [{"onTrail": row[0], "seq": row[2], "root": row[4][1], "damaged": row[5]} for row in rows]
print(json.dumps({"rows": rows, "error": error, "errors": errors}))
`;
  const run = runPython(script);
  expect(run.exitCode, run.stderr).toBe(0);
  return { ...(JSON.parse(run.stdout) as Omit<ReturnType<typeof readChains>, 'warnings'>), warnings: run.stderr };
}

const bare = ({ head }: WholeEntry) => ({ head, body: undefined });

test.skipIf(missing !== undefined)('reads the golden chain', () => {
  const url = new URL('../../packages/engine/src/chain/golden/chain-1.json', import.meta.url);
  const golden = JSON.parse(readFileSync(url, 'utf8'));
  const folder = newFolder();
  const path = join(folder, 'chains', golden.agent, '00000001-0000000000000001.chain');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.from(golden.segment, 'hex'));
  const admin = sodium.crypto_sign_seed_keypair(Buffer.from(golden.adminSeed, 'hex')).publicKey;
  const { keys } = chainWriter('golden', { vault: golden.vault, vaultKey: Buffer.from(golden.vaultKey, 'hex') });
  const found = readChains(folder, { ...golden, keys }, Buffer.from(admin).toString('hex'));
  const rows = [{ onTrail: true, seq: 4, root: 'home', damaged: true }];
  expect(found).toEqual({ rows, error: '', errors: [], warnings: '' });
});

test.skipIf(missing !== undefined)('reads files in order, and hold entries without their bodies', () => {
  const owner = newOwner('files');
  const add = owner.add(1, [makeForm(1)]);
  const first = owner.record(snapshot('a'), 1);
  const second = owner.record(snapshot('b'), 2);
  owner.record({ type: 'forget', snapshot: first.head.link });
  owner.release(1, [makeForm(1).id]);
  const [takeover, , , , forget, release] = owner.entries as [WholeEntry, ...WholeEntry[]];
  const files = {
    '00000001-0000000000000001.chain': [takeover, bare(add), first],
    '00000001-0000000000000004.chain': [second, forget!, bare(release!)],
  };
  expect(read(owner, files)).toEqual({
    rows: [{ onTrail: true, seq: 4, root: 'b', damaged: false }],
    error: '',
    warnings: '',
  });
  const { '00000001-0000000000000001.chain': _, ...rest } = files;
  expect(read(owner, rest).error).toMatch(/^E_INTEGRITY: entry 1\/4: before its takeover/);
});

test.skipIf(missing !== undefined)('lists snapshots of a branch, of which only snapshots and damage count', () => {
  const owner = newOwner('branch');
  const kept = owner.record(snapshot('kept'), 1);
  const base = owner.position!;
  const lost = owner.record(snapshot('in the branch'), 1);
  owner.record({ type: 'forget', snapshot: kept.head.link });
  owner.record({ type: 'damaged', snapshots: [kept.head.link, lost.head.link] });
  const branch = owner.entries.slice(2);
  takeOver(owner, base);
  owner.record(snapshot('after'), 1);
  const trail = [...owner.entries.slice(0, 2), ...owner.entries.slice(5)];
  const rows = [
    { onTrail: true, seq: 2, root: 'kept', damaged: false },
    { onTrail: false, seq: 3, root: 'in the branch', damaged: true },
    { onTrail: true, seq: 4, root: 'after', damaged: false },
  ];
  const apart = {
    '00000001-0000000000000001.chain': trail,
    'branches/0011223344556677/00000001-0000000000000003.chain': branch,
  };
  expect(read(owner, apart)).toEqual({ rows, error: '', warnings: '' });
  // Segments of a bucket lie in one folder and may overlap.
  const together = {
    '00000001-0000000000000001.chain': owner.entries.slice(0, 5),
    '00000001-0000000000000002.chain': owner.entries.slice(1, 3),
    '00000002-0000000000000003.chain': owner.entries.slice(5),
  };
  expect(read(owner, together)).toEqual({ rows, error: '', warnings: '' });
});

test.skipIf(missing !== undefined)('a trail that begins anew leaves all that was before to a branch', () => {
  const owner = newOwner('anew');
  owner.record(snapshot('old'), 1);
  const old = [...owner.entries];
  takeOver(owner, undefined);
  owner.record(snapshot('new'), 1);
  const files = {
    '00000002-0000000000000001.chain': owner.entries.slice(2),
    'branches/0011223344556677/00000001-0000000000000001.chain': old,
  };
  expect(read(owner, files).rows).toEqual([
    { onTrail: false, seq: 2, root: 'old', damaged: false },
    { onTrail: true, seq: 2, root: 'new', damaged: false },
  ]);
});

test.skipIf(missing !== undefined)('a checkpoint replaces what it does not list, once all its parts are there', () => {
  const owner = newOwner('checkpoint');
  owner.record(snapshot('forgotten'), 1);
  owner.record(snapshot('kept'), 1);
  const snapshots: CheckedSnapshot[] = [4, 5].map((seq) => ({
    id: seq.toString(16).padStart(64, '0'),
    incarnation: 1,
    seq,
    shard: 1,
    damaged: seq === 5,
    body: snapshot(`listed ${seq}`),
  }));
  const parts = encodeCheckpointEntries(sodium, {
    writer: owner,
    after: owner.position!,
    checkpoint: { snapshots, pins: [], settings: undefined },
    keys: owner.keys,
    signSeed: owner.signSeed,
    random: createSeededRandom('parts'),
    partBytes: 1,
  });
  const rows = (list: readonly WholeEntry[]) =>
    read(owner, { '00000001-0000000000000001.chain': [...owner.entries, ...list] }).rows.map((row) => [
      row.root,
      row.damaged,
    ]);
  expect(parts).toHaveLength(2);
  expect(rows(parts)).toEqual([
    ['listed 4', false],
    ['listed 5', true],
  ]);
  expect(rows(parts.slice(0, 1))).toEqual([
    ['forgotten', false],
    ['kept', false],
  ]);
});

test.skipIf(missing !== undefined)('refuses forks, second takeovers, gaps and cards of another admin', () => {
  const file = '00000001-0000000000000001.chain';
  const owner = newOwner('forks');
  const base = owner.position!;
  owner.record(snapshot('a'), 1);
  const end = owner.position;
  owner.position = base;
  const fork = owner.record(snapshot('b'), 1);
  expect(read(owner, { [file]: owner.entries.slice(0, 2), 'branches/00/x.chain': [fork] }).error).toMatch(/^E_FORK/);

  owner.position = end;
  owner.entries.splice(2);
  const one = takeOver(owner, base);
  owner.incarnation = 1;
  owner.position = end;
  const other = takeOver(owner, end);
  expect(read(owner, { [file]: owner.entries.slice(0, 2), 'y.chain': [one], 'z.chain': [other] }).error).toMatch(
    /^E_FORK: entry 2\/3: another takeover/,
  );

  const gap = newOwner('gap');
  gap.record();
  gap.record();
  expect(read(gap, { [file]: [gap.entries[0]!, gap.entries[2]!] }).error).toMatch(/^E_INTEGRITY: entry 1\/3/);

  const stranger = chainWriter('stranger');
  takeOver(stranger, undefined, new Uint8Array(32).fill(8));
  expect(read(stranger, { [file]: stranger.entries }).error).toMatch(/^E_INTEGRITY: entry 1\/1: its card/);

  const wrongBase = newOwner('wrong base');
  wrongBase.record();
  const real = wrongBase.position!;
  takeOver(wrongBase, { ...real, link: 'ab'.repeat(32) });
  expect(read(wrongBase, { [file]: wrongBase.entries }).error).toMatch(/^E_INTEGRITY: entry 2\/3/);
});

test.skipIf(missing !== undefined)('refuses a flipped bit wherever it is, and leaves out a torn end', () => {
  const file = '00000001-0000000000000001.chain';
  const owner = newOwner('bits');
  owner.add(1, [makeForm(1)]);
  owner.record(snapshot('a'), 1);
  owner.record(snapshot('b'), 1);
  const starts = owner.entries.map((_, i) => Buffer.concat(owner.entries.slice(0, i).map(encodeChainItem)).length);
  // Version, seq, previous link, kind, shard, digest, signature, body, of an add and of a record.
  const places = [12, 60, 70, 98, 100, 115, 150, 210].flatMap((at) => [starts[1]! + at, starts[2]! + at]);
  const whole = readChains(write(owner, { [file]: owner.entries }), owner, ADMIN, places);
  expect(whole).toMatchObject({ error: '', rows: [{ root: 'a' }, { root: 'b' }] });
  expect(whole.errors).toHaveLength(places.length);
  for (const [i, error] of whole.errors.entries()) expect(error, `byte ${places[i]}`).toMatch(/^E_INTEGRITY/);
  const torn = read(owner, { [file]: owner.entries }, 1);
  expect(torn).toMatchObject({ error: '', warnings: expect.stringContaining('torn end') });
  expect(torn.rows).toEqual(whole.rows.slice(0, 1));
});
