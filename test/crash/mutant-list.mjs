/** What `mutants.mjs` takes out, one at a time, and the tests that are to notice it. */
import { MUTANTS_OF_CHAINS } from './mutants-of-chains.mjs';
import { MUTANTS_OF_STORES } from './mutants-of-stores.mjs';

const store = 'packages/engine/src/store';
const DURABILITY = `${store}/durability.test.ts`;
const ORDER = 'test/crash/write-order.test.ts';
const demote = 'packages/engine/src/demote';
const P5 = `${demote}/verify-at-peers.test.ts`;

/** Run for a mutant that names no tests. */
export const UNITS = [
  'packages/engine/src/codec/seal-open.test.ts',
  'packages/engine/src/codec/xchacha20poly1305.test.ts',
];
/** Too long to be run once without a mutant: the suite does that. */
export const SCENES = new Set(['test/crash/log-repair.test.ts']);

/** Edits are exact: one that is not found once means that the sources moved on and the mutant has to follow. */
export const MUTANTS = [
  ...MUTANTS_OF_CHAINS,
  ...MUTANTS_OF_STORES,
  {
    name: 'no fsync of a pack file',
    edits: [[`${store}/chunk-store/pack-file-writer.ts`, 'await this.#file.sync();', 'await Promise.resolve();']],
    tests: [DURABILITY, ORDER],
  },
  {
    name: 'no fsync of the folder after a pack got its name',
    edits: [[`${store}/chunk-store/pack-folder.ts`, '      await syncFolder(folder);\n', '      void syncFolder;\n']],
    tests: [DURABILITY],
  },
  {
    name: 'no fsync of the folder after a file was replaced',
    edits: [
      [
        `${store}/durable-write.ts`,
        "failpoint('durable.renamed');\n  await syncFolder(dirname(path));",
        "failpoint('durable.renamed');",
      ],
    ],
    tests: [DURABILITY],
  },
  {
    name: 'the tag of a sealed chunk is not checked',
    edits: [
      ['packages/engine/src/codec/xchacha20poly1305.ts', '    decipher.final();\n', '    void decipher;\n'],
      [
        'packages/engine/src/codec/xchacha20poly1305.ts',
        'length >= NATIVE_BYTES_MIN',
        'length >= 0 * NATIVE_BYTES_MIN',
      ],
    ],
    tests: [],
  },
  {
    name: 'the record is appended before its packs are flushed',
    edits: [
      [
        'packages/engine/src/capture/capture.ts',
        "    await run.writer.close();\n    await run.requireHeld();\n    failpoint('capture.chunks-durable');\n",
        '',
      ],
      [
        'packages/engine/src/capture/capture.ts',
        "    failpoint('capture.recorded');\n",
        "    failpoint('capture.recorded');\n    await run.writer.close();\n    failpoint('capture.chunks-durable');\n",
      ],
    ],
    tests: [ORDER],
    only: 'sync: pack bytes',
  },
  {
    name: 'the index names a pack before it has its name',
    edits: [
      [
        `${store}/chunk-store/pack-folder.ts`,
        'await rename(temporary, packFile(pack));',
        'setTimeout(() => void rename(temporary, packFile(pack)), 30);',
      ],
    ],
    tests: [DURABILITY],
  },
  {
    name: 'no fsync of an append to a chain',
    edits: [[`${store}/chains/chain-file.ts`, '      await this.#handle.sync();\n', '']],
    tests: [DURABILITY],
  },
  {
    name: 'no fsync of the folder of a new chain file',
    edits: [[`${store}/chains/chain-file.ts`, 'if (this.#isNew) await syncFolder(this.folder);', '']],
    tests: [DURABILITY],
  },
  {
    name: 'the cut of an unfinished end is not fsynced',
    edits: [[`${store}/chains/open-chains.ts`, '        await file.sync();\n      } finally {', '      } finally {']],
    tests: [DURABILITY],
  },
  {
    // What is sent to stores is read from the index.
    name: 'the index has an entry, and stores can get it, before the chain file is durable',
    edits: [
      [
        `${store}/chains/followed-chain.ts`,
        '    await this.#file.sync();\n    const entries',
        '    setTimeout(() => void this.#file.sync().catch(() => {}), 30);\n    const entries',
      ],
    ],
    tests: [DURABILITY],
  },
  {
    name: 'a failed append is followed by another one',
    edits: [[`${store}/chains/chain-file.ts`, '    this.#failure ??= failure;\n', '']],
    tests: [`${store}/chains/own-chain.test.ts`],
  },
  {
    name: 'the epoch is raised after the mark',
    edits: [
      [
        'packages/engine/src/index/hold-index.ts',
        "if (reason !== 'wanted') deps.noteLoss();",
        "if (reason !== 'wanted') setTimeout(deps.noteLoss, 1);",
      ],
    ],
    tests: [`${store}/chains/chain-store.test.ts`],
  },
  {
    name: 'old packs are unlinked before the rows are swapped',
    edits: [
      [
        `${store}/chunk-store/compact-packs.ts`,
        "  failpoint('compact.copied');\n",
        "  failpoint('compact.copied');\n  for (const pack of packs) if (pack.name !== written?.name) await removeIfThere(deps.folder.packFile(pack.name));\n",
      ],
    ],
    tests: [DURABILITY],
  },
  {
    name: 'no fsync of a file before it replaces the old one',
    edits: [
      [
        `${store}/durable-write.ts`,
        "failpoint('durable.written');\n      await file.sync();",
        "failpoint('durable.written');",
      ],
    ],
    tests: [DURABILITY],
  },
  {
    name: 'no fsync of the folder in which a new folder was made',
    edits: [
      [
        `${store}/durable-write.ts`,
        '    return await makeBelow(path, mode, true);\n  }\n  await syncFolder(dirname(path));\n',
        '    return await makeBelow(path, mode, true);\n  }\n',
      ],
    ],
    tests: [DURABILITY],
  },
  {
    name: 'a commit of the index is not synced',
    edits: [
      ['packages/engine/src/index/database.ts', "'synchronous = FULL'", "'synchronous = NORMAL'"],
      ['packages/engine/src/index/database.ts', '{ simple: true }) !== 2', '{ simple: true }) !== 1'],
    ],
    tests: [ORDER],
    only: 'sync: pack bytes',
  },
  {
    name: 'an own copy is dropped with too few others verified',
    edits: [
      [
        'packages/engine/src/demote/apply-demote.ts',
        '    if (!isEnough(chunk)) continue;\n    // Without',
        '    // Without',
      ],
    ],
    tests: ['packages/engine/src/demote/demote.test.ts'],
  },
  {
    name: 'P5 counts bytes that the holder does not hold',
    edits: [
      [
        `${demote}/verify-at-peers.ts`,
        'holds.length > 0 && holds.every((hold) => isPlaced(id, hold, answer))',
        'holds.length >= 0',
      ],
    ],
    tests: [P5],
  },
  {
    name: 'P5 asks for one shard of a chunk that two hold',
    edits: [[`${demote}/verify-at-peers.ts`, 'holds.every((hold) => isPlaced', 'holds.some((hold) => isPlaced']],
    tests: [P5],
  },
  {
    name: 'P5 does not mind a holder that was started again',
    edits: [
      [
        `${demote}/verify-at-peers.ts`,
        '      requireSameStart(before, now);',
        '      requireSameStart(before, before);',
      ],
    ],
    tests: [P5],
  },
  {
    name: 'P5 counts an answer about another trail',
    edits: [
      [`${demote}/verify-at-peers.ts`, '    deps.chains.isOnTrail(agentId, position);', '    agentId !== undefined;'],
    ],
    tests: ['packages/engine/src/demote/demote.test.ts'],
    only: 'not ranked',
  },
  {
    name: 'the drop does not look at added seqs again',
    edits: [
      [
        `${demote}/drop-verified.ts`,
        'return now.length !== holds.length || !holds.every((hold) => hasHold(now, hold));',
        'return now.length < 0 && !holds.every((hold) => hasHold(now, hold));',
      ],
    ],
    tests: [P5],
  },
  {
    name: 'the drop does not look at claims again',
    edits: [
      [
        `${demote}/drop-verified.ts`,
        'cold === undefined && index.chunks.isClaimed(id)',
        'cold !== undefined && index.chunks.isClaimed(id)',
      ],
    ],
    tests: [P5],
  },
  {
    name: 'copies are dropped on a machine that was put back',
    edits: [[`${demote}/drop-verified.ts`, '  if (isPutBack()) return true;\n', '  void isPutBack;\n']],
    tests: ['packages/engine/src/demote/demote.test.ts'],
    only: 'put back',
  },
  {
    name: 'copies behind one bucket count more than once',
    edits: [
      [
        `${demote}/verify-at-peers.ts`,
        'backing: behind.map(({ location }) => location)',
        'backing: behind.slice(0, 0).map(String)',
      ],
    ],
    tests: ['packages/engine/src/demote/demote.test.ts'],
    only: 'behind one bucket',
  },
  {
    name: 'a pass of an earlier question speaks for a bucket',
    edits: [
      ['packages/engine/src/replicate/witnesses.ts', 'if (outcome.number <= begun)', 'if (outcome.number < 0 * begun)'],
    ],
    tests: ['packages/engine/src/replicate/witnesses.test.ts'],
  },
  {
    name: 'a repair of the log that was decided is not ended by the next command',
    edits: [
      [
        'packages/engine/src/engine.ts',
        'const finished = await finishLogRepair(dataDir);',
        'const finished = process.pid < 0 ? await finishLogRepair(dataDir) : undefined;',
      ],
    ],
    tests: ['test/crash/log-repair.test.ts'],
    only: '^log repair .*(set-aside|in-place)',
  },
  {
    name: 'the decision for a repaired log is followed before it is durable',
    edits: [
      [
        'packages/engine/src/log-repair/place-cut-chain.ts',
        '  await syncFolder(chainsDir);\n',
        '  void [syncFolder, chainsDir];\n',
      ],
    ],
    tests: [ORDER],
    only: 'scrub --repair',
  },
  {
    name: 'the index keeps what a cut took out of the log',
    edits: [
      [
        'packages/engine/src/log-repair/place-cut-chain.ts',
        'await writeFileDurably(suspectFile(dataDir.indexFile)',
        'if (process.pid < 0) await writeFileDurably(suspectFile(dataDir.indexFile)',
      ],
    ],
    tests: ['test/crash/log-repair.test.ts'],
    only: '^log repair .*done',
  },
];
