// Takes one promise of the order of writes out at a time and looks which tests notice: `node test/crash/mutants.mjs [NAME…]`. Works on a copy of
// the repository, so that nobody who works on it is disturbed. Not part of `npm test`: some ten minutes. Exit 1 when a mutant survives.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const store = 'packages/engine/src/store';

const UNITS = [
  `${store}/durability.test.ts`,
  `${store}/holder-durability.test.ts`,
  'packages/engine/src/codec/seal-open.test.ts',
  'packages/engine/src/codec/xchacha20poly1305.test.ts',
];
const ORDER = 'test/crash/write-order.test.ts';

/** Edits are exact: one that is not found once means that the sources moved on and the mutant has to follow. */
const MUTANTS = [
  {
    name: 'no fsync of a pack file',
    edits: [[`${store}/chunk-store/pack-file-writer.ts`, 'await this.#file.sync();', 'await Promise.resolve();']],
    tests: [ORDER],
  },
  {
    name: 'no fsync of the folder after a pack got its name',
    edits: [[`${store}/chunk-store/pack-folder.ts`, '      await syncFolder(folder);\n', '      void syncFolder;\n']],
    tests: [ORDER],
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
    tests: [ORDER],
  },
  {
    name: 'the tag of a sealed chunk is not checked',
    edits: [
      ['packages/engine/src/codec/xchacha20poly1305.ts', '    decipher.final();\n', '    void decipher;\n'],
      ['packages/engine/src/codec/xchacha20poly1305.ts', 'NATIVE_BYTES_MIN = 8192', 'NATIVE_BYTES_MIN = 0'],
    ],
    tests: [],
  },
  {
    name: 'the record is appended before its packs are flushed',
    edits: [
      [
        'packages/engine/src/capture/capture.ts',
        "    await run.writer.close();\n    failpoint('capture.chunks-durable');\n",
        '',
      ],
      [
        'packages/engine/src/capture/capture.ts',
        "    failpoint('capture.recorded');\n",
        "    failpoint('capture.recorded');\n    await run.writer.close();\n    failpoint('capture.chunks-durable');\n",
      ],
    ],
    tests: [ORDER, 'test/crash/sync.test.ts'],
    only: '^sync |system calls',
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
    tests: [ORDER],
  },
  {
    name: 'no fsync of an append to a log',
    edits: [
      [
        `${store}/append-file.ts`,
        "failpoint('append.written');\n    await file.sync();",
        "failpoint('append.written');",
      ],
    ],
    tests: [ORDER],
  },
  {
    name: 'no fsync of the folder of a new log',
    edits: [
      [`${store}/append-file.ts`, '      await syncFolder(dirname(path));\n', '      void [syncFolder, dirname];\n'],
    ],
    tests: [ORDER],
  },
  {
    name: 'the receipt is given before the frames are durable',
    edits: [
      [
        `${store}/holder.ts`,
        '        await receiveFrames(opened.batch.entries, frames, deps, signal);\n',
        '        const storing = receiveFrames(opened.batch.entries, frames, deps, signal);\n        storing.catch(() => {});\n        if (storing instanceof Promise) return receiptFor(opened, deps);\n',
      ],
    ],
    tests: [`${store}/holder.test.ts`],
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
    tests: [ORDER],
  },
];

const wanted = process.argv.slice(2);
const chosen = MUTANTS.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const copy = mkdtempSync(join(tmpdir(), 'edgestore-mutants-'));
// The pinned one, whatever this script was started with.
const node = join(copy, 'node_modules/.bin/node');
let survived = 0;
try {
  const entries = readdirSync(root).filter((name) => name !== '.git');
  mustRun('cp', ['-a', ...entries.map((name) => join(root, name)), copy]);
  build('nothing changed');
  const all = new Set(
    [...UNITS, ...chosen.flatMap(({ tests }) => tests)].filter((test) => test !== 'test/crash/sync.test.ts'),
  );
  const before = failedTests([...all]);
  if (before.length > 0) throw new Error(`these fail without any mutant:\n  ${before.join('\n  ')}`);
  for (const mutant of chosen) tryOne(mutant);
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exitCode = survived > 0 ? 1 : 0;

function tryOne({ name, edits, tests, only }) {
  const originals = new Map();
  try {
    for (const [file, from, to] of edits) {
      const path = join(copy, file);
      const text = readFileSync(path, 'utf8');
      if (!originals.has(path)) originals.set(path, text);
      if (text.split(from).length !== 2) throw new Error(`${name}: ${JSON.stringify(from)} is not once in ${file}`);
      writeFileSync(
        path,
        text.replace(from, () => to),
      );
    }
    build(name);
    const failed = failedTests([...UNITS, ...tests], only);
    if (failed.length === 0) survived++;
    console.log(`\n${failed.length === 0 ? 'SURVIVED' : 'found'}: ${name}`);
    for (const test of failed) console.log(`  ${test}`);
  } finally {
    for (const [path, text] of originals) writeFileSync(path, text);
  }
}

/** The engine is all that mutants change, and the program runs what was built of it. */
function build(what) {
  const done = spawnSync(node, ['scripts/build.mjs'], {
    cwd: join(copy, 'packages/engine'),
    encoding: 'utf8',
    env: environment(),
  });
  if (done.status !== 0) throw new Error(`${what}: does not build\n${done.stdout}${done.stderr}`);
}

/** With `only`, of the tests under test/ just those whose names match. */
function failedTests(tests, only) {
  const report = join(copy, 'mutants-report.json');
  const failed = [];
  const units = only === undefined ? tests : tests.filter((test) => test.startsWith('packages/'));
  const named = only === undefined ? [] : tests.filter((test) => test.startsWith('test/'));
  for (const [files, filter] of [
    [units, []],
    [named, ['-t', only]],
  ]) {
    if (files.length === 0) continue;
    rmSync(report, { force: true });
    const vitest = join(copy, 'node_modules/vitest/vitest.mjs');
    const reporters = ['--reporter=json', `--outputFile=${report}`, '--testTimeout=60000'];
    const done = spawnSync(node, [vitest, 'run', ...files, ...filter, ...reporters], {
      cwd: copy,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      env: { ...environment(), EDGESTORE_CRASH_KILLS: '1' },
    });
    let results;
    try {
      results = JSON.parse(readFileSync(report, 'utf8')).testResults;
    } catch {
      throw new Error(`no report of the tests\n${done.stdout}${done.stderr}`);
    }
    for (const { name: file, status, message, assertionResults } of results) {
      const bad = assertionResults.filter((one) => one.status === 'failed');
      for (const { fullName } of bad) failed.push(`${relative(copy, file)}: ${fullName}`);
      if (status === 'failed' && bad.length === 0) failed.push(`${relative(copy, file)}: ${message.split('\n')[0]}`);
    }
  }
  return failed;
}

function environment() {
  return { ...process.env, PATH: `${join(copy, 'node_modules/.bin')}:${process.env.PATH}` };
}

function mustRun(command, args) {
  const done = spawnSync(command, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${command}: ${done.stderr}`);
}
