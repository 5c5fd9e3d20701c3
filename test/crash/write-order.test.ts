/**
 * SIGKILL cannot show a missing fsync: what was written stays in the kernel's cache. So the system calls of the real program are recorded and their
 * order is compared with docs/invariants.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { chainFilesBelow, damageEntry } from '../support/chain-files.ts';
import { pseudoRandom } from '../support/hostile-tree.ts';
import { installStrace, parseTrace, type Syscall, traceEdgestore, whyNoStrace } from './strace.ts';
import { Vault } from './vault.ts';
import { writeOrder } from './write-order.ts';

if (whyNoStrace() !== undefined && process.env.EDGESTORE_TEST_INSTALL === '1') installStrace();
const reason = process.platform === 'linux' ? whyNoStrace() : 'only Linux has strace';
if (reason !== undefined) process.stderr.write(`SKIPPED: ${reason}; the order of system calls is not looked at.\n`);

describe.skipIf(reason !== undefined)('system calls of the real program', () => {
  const vaults: Vault[] = [];
  afterEach(() => {
    for (const vault of vaults.splice(0)) vault.remove();
  });
  const newVault = (): Vault => {
    const vault = new Vault();
    vaults.push(vault);
    return vault;
  };
  const snapshotIn = (stdout: string): string =>
    (JSON.parse(stdout) as { data: { roots: { snapshot: string }[] } }).data.roots[0]?.snapshot ?? 'none';

  test('sync: pack bytes, pack name, index, record, acknowledgement; each durable before the next', async () => {
    const vault = newVault();
    await vault.make();
    // More than is gathered before it is written, so that packs are begun long before they are whole.
    writeFileSync(join(vault.root, 'large'), pseudoRandom(6_000_000, 77));
    const { calls, stdout } = traceEdgestore(['sync', vault.root, '--json', ...vault.at]);
    const order = writeOrder({
      calls,
      dataDir: vault.dataDir,
      acknowledgement: snapshotIn(stdout),
      recordComesLast: true,
    });
    expect(order.problems).toEqual([]);
    // The adds and the record.
    expect(order).toMatchObject({ packs: 2, appends: 2 });
  });

  test('sync that merges: the old packs go only when the new one and the index are durable', async () => {
    const vault = newVault();
    await vault.make();
    for (let i = 0; i < 6; i++) {
      vault.edit(60_000);
      await vault.sync();
    }
    vault.edit(60_000);
    const { calls, stdout } = traceEdgestore(['sync', vault.root, '--json', ...vault.at]);
    const order = writeOrder({
      calls,
      dataDir: vault.dataDir,
      acknowledgement: snapshotIn(stdout),
      recordComesLast: false,
    });
    expect(order.problems).toEqual([]);
    expect(order).toMatchObject({ packs: 4, appends: 2 });
    expect(order.unlinkedPacks).toBeGreaterThanOrEqual(8);
  });

  test('init: every file is whole before it has its name, and the vault is told of when all is durable', () => {
    const base = mkdtempSync(join(tmpdir(), 'edgestore-order-'));
    try {
      const dataDir = join(base, 'data');
      const { calls } = traceEdgestore(['init', '--data-dir', dataDir, '--recovery-out', join(base, 'sheet')]);
      const order = writeOrder({ calls, dataDir, acknowledgement: dataDir, recordComesLast: false });
      expect(order.problems).toEqual([]);
      expect(order.renames).toBeGreaterThan(5);
      // The first file of the chain is written as a whole file.
      expect(order.appends).toBe(0);
      const descriptor = calls.findIndex(
        ({ name, to }) => name.startsWith('rename') && to === join(dataDir, 'vault.edge'),
      );
      // The runtime's compile cache, which lies elsewhere, may be written at the end.
      const later = calls
        .slice(descriptor + 1)
        .filter(({ name, to }) => name.startsWith('rename') && to.startsWith(base));
      expect(descriptor).toBeGreaterThan(-1);
      expect(later.map(({ to }) => to)).toEqual([]);
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  });

  test('scrub --repair of the chain: all is durable before it is decided, and before that nothing changes', async () => {
    const vault = newVault();
    await vault.make();
    vault.edit();
    await vault.sync();
    const chains = join(vault.dataDir, 'chains');
    damageEntry(chainFilesBelow(chains)[0]!, 1);
    const { calls } = traceEdgestore(['scrub', '--repair', '--json', ...vault.at], 20);
    const order = writeOrder({
      calls,
      dataDir: vault.dataDir,
      acknowledgement: '"repaired":"cut"',
      recordComesLast: false,
    });
    expect(order.problems).toEqual([]);
    const renames = calls.filter(({ name }) => name.startsWith('rename'));
    const decided = renames.findIndex(({ to }) => to === join(chains, '.repaired'));
    const before = renames.slice(0, decided).filter(({ to }) => !to.startsWith(join(chains, '.repair/')));
    expect(before.map(({ to }) => to)).toEqual([]);
    const [decision, next] = renames.slice(decided) as [Syscall, Syscall];
    const synced = calls.find(({ name, path, start }) => name === 'fsync' && path === chains && start > decision.end);
    expect(synced?.end).toBeLessThan(next.start);
  });
});

describe('the looking itself', () => {
  const dataDir = '/d';
  const acknowledgement = 'abc123';
  const pack = `/d/packs/aa/${'aa'.repeat(32)}.pack`;
  const named = `"${'\\xaa'.repeat(32)}"`;
  const good = [
    '1 pwrite64(5</d/packs/.tmp/1.pack>, "x", 1, 0) = 1',
    '2 fsync(5</d/packs/.tmp/1.pack>) = 0',
    `1 rename("/d/packs/.tmp/1.pack", "${pack}") = 0`,
    '1 fsync(6</d/packs/aa>) = 0',
    `1 pwrite64(7</d/index.sqlite-wal>, ${named}, 32, 0) = 32`,
    '1 fsync(7</d/index.sqlite-wal>) = 0',
    '2 pwrite64(8</d/chains/a/1.chain>, "r", 1, 300) = 1',
    '2 fsync(8</d/chains/a/1.chain>) = 0',
    '1 write(1<pipe:[5]>, "{\\"snapshot\\":\\"abc123\\"}", 22) = 22',
  ];
  const look = (lines: readonly string[]) =>
    writeOrder({ calls: parseTrace(lines.join('\n')), dataDir, acknowledgement, recordComesLast: true }).problems;
  const without = (at: number): string[] => good.filter((_, i) => i !== at);
  const moved = (from: number, to: number): string[] => {
    const lines = without(from);
    lines.splice(to, 0, good[from] ?? '');
    return lines;
  };

  test('finds nothing where the order is right', () => expect(look(good)).toEqual([]));
  test.each([
    ['no fsync of the pack', without(1), 'got its name before its bytes were fsynced'],
    ['no fsync of the folder', without(3), 'the folder of'],
    ['index before the rename', moved(4, 2), 'the index named'],
    [
      'record before the pack',
      [...good.slice(6, 8), ...good.slice(0, 6), ...good.slice(8)],
      'the record was appended before',
    ],
    ['record before the index is durable', moved(5, 8), 'a record was appended before'],
    [
      'no fsync of the folder of a new log',
      [...good.slice(0, 6), '2 pwrite64(8</d/chains/a/1.chain>, "r", 1, 0) = 1', ...good.slice(7)],
      'which is new',
    ],
    ['no fsync of the append', without(7), 'was not fsynced after the append'],
    ['acknowledged too early', moved(8, 7), 'stdout acknowledged before'],
    [
      'an fsync that ends too late',
      [
        ...good.slice(0, 1),
        '2 fsync(5</d/packs/.tmp/1.pack> <unfinished ...>',
        good[2] ?? '',
        '2 <... fsync resumed>) = 0',
        ...good.slice(3),
      ],
      'got its name before',
    ],
    [
      'unlinked before the swap is durable',
      [...good.slice(0, 5), `1 unlink("/d/packs/bb/${'bb'.repeat(32)}.pack") = 0`, ...good.slice(5)],
      'was unlinked before',
    ],
  ])('finds: %s', (_, lines, problem) => expect(look(lines).join('\n')).toContain(problem));
});
