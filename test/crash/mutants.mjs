// Takes one promise out at a time and looks which tests notice: `node test/crash/mutants.mjs [NAME…]`. Works on a copy
// of the repository, so that nobody who works on it is disturbed. Not part of `npm test`: all of them take some half an
// hour on two cores that do nothing else. Exit 1 when a mutant survives.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MUTANTS, SCENES, UNITS } from './mutant-list.mjs';
import { NOT_YET } from './mutants-not-yet.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const wanted = process.argv.slice(2);
const TEST_MS_MAX = 120_000;
const chosen = MUTANTS.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const testsOf = ({ tests }) => (tests.length > 0 ? tests : UNITS);
/** Tests of the program run what was bundled, all others the sources. */
const needsBuild = (tests) => tests.some((test) => test.startsWith('test/'));
// Before minutes are spent on the others.
for (const mutant of chosen) {
  const { name, edits } = mutant;
  const gone = testsOf(mutant).find((test) => !existsSync(join(root, test)));
  if (gone !== undefined) throw new Error(`${name}: there is no ${gone}`);
  for (const [file, from] of edits) {
    const times = readFileSync(join(root, file), 'utf8').split(from).length - 1;
    if (times !== 1) throw new Error(`${name}: ${JSON.stringify(from)} is there ${times} times in ${file}, not once`);
  }
}
const seconds = chosen.reduce((sum, mutant) => sum + (needsBuild(testsOf(mutant)) ? 90 : 12), 0);
console.log(`${chosen.length} mutants: some ${Math.ceil(seconds / 60)} minutes on two cores that do nothing else`);
const copy = mkdtempSync(join(tmpdir(), 'edgestore-mutants-'));
// The pinned one, whatever this script was started with.
const node = join(copy, 'node_modules/.bin/node');
let survived = 0;
/** For CONTRIBUTING.md. */
const table = ['| mutant | noticed by |', '|---|---|'];
try {
  const entries = readdirSync(root).filter((name) => name !== '.git');
  mustRun('cp', ['-a', ...entries.map((name) => join(root, name)), copy]);
  const all = [...new Set(chosen.flatMap(testsOf))].filter((test) => !SCENES.has(test));
  if (needsBuild(all)) build('nothing changed');
  const before = failedTests(all);
  if (before.length > 0) throw new Error(`these fail without any mutant:\n  ${before.join('\n  ')}`);
  for (const mutant of chosen) tryOne(mutant);
  console.log(`\n${table.join('\n')}`);
  console.log('\nNot in this version:');
  for (const { name, reason } of NOT_YET) console.log(`  ${name}: ${reason}`);
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exitCode = survived > 0 ? 1 : 0;

function tryOne(mutant) {
  const { name, edits, only } = mutant;
  const tests = testsOf(mutant);
  const originals = new Map();
  try {
    for (const [file, from, to] of edits) {
      const path = join(copy, file);
      const text = readFileSync(path, 'utf8');
      if (!originals.has(path)) originals.set(path, text);
      writeFileSync(
        path,
        text.replace(from, () => to),
      );
    }
    if (needsBuild(tests)) build(name);
    const failed = failedTests(tests, only);
    if (failed.length === 0) survived++;
    table.push(`| ${name} | ${byFile(failed)} |`);
    console.log(`\n${failed.length === 0 ? 'SURVIVED' : 'found'}: ${name}`);
    for (const test of failed) console.log(`  ${test}`);
  } finally {
    for (const [path, text] of originals) writeFileSync(path, text);
  }
}

/** The first test of each file, and how many there are. Seeds of scenes are left out: the next run has others. */
function byFile(failed) {
  const files = new Map();
  for (const one of failed) {
    const [file, name] = one.split(/: (.*)/s);
    files.set(file, [...(files.get(file) ?? []), name.replace(/ \(EDGESTORE_CRASH_SEED=\d+\)/, '')]);
  }
  const shown = [...files].map(
    ([file, [first, ...more]]) => `\`${file}\`: ${first}${more.length > 0 ? `; ${more.length} more` : ''}`,
  );
  return shown.join('<br>') || '**nobody**';
}

/** Mutants change the sources, and the program runs what was bundled of them. */
function build(what) {
  const done = spawnSync(node, ['scripts/build.mjs'], {
    cwd: join(copy, 'packages/cli'),
    encoding: 'utf8',
    env: environment(),
  });
  if (done.status !== 0) throw new Error(`${what}: does not build\n${done.stdout}${done.stderr}`);
}

/**
 * With `only`, just those whose names match. A test that only took too long, on a machine with other work, has noticed
 * nothing.
 */
function failedTests(tests, only) {
  const report = join(copy, 'mutants-report.json');
  rmSync(report, { force: true });
  const vitest = join(copy, 'node_modules/vitest/vitest.mjs');
  const filter = only === undefined ? [] : ['-t', only];
  const reporters = ['--reporter=json', `--outputFile=${report}`, `--testTimeout=${TEST_MS_MAX}`];
  const done = spawnSync(node, [vitest, 'run', ...tests, ...filter, ...reporters], {
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
  const ran = results
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => status === 'passed' || status === 'failed');
  if (ran.length === 0 && !results.some(({ status }) => status === 'failed'))
    throw new Error(`no test ran: ${tests.join(' ')} ${only ?? ''}`);
  const failed = [];
  for (const { name: file, status, message, assertionResults } of results) {
    const bad = assertionResults.filter((one) => one.status === 'failed');
    const isLate = ({ failureMessages }) => failureMessages.every((text) => text.includes('timed out in'));
    for (const { fullName } of bad.filter((one) => !isLate(one))) failed.push(`${relative(copy, file)}: ${fullName}`);
    for (const { fullName } of bad.filter(isLate)) console.log(`  took too long: ${relative(copy, file)}: ${fullName}`);
    if (/SyntaxError|Transform failed|PARSE_ERROR/.test(message))
      throw new Error(`${relative(copy, file)} cannot be read: ${message}`);
    if (status === 'failed' && bad.length === 0)
      failed.push(`${relative(copy, file)}: ${message.split('\n')[0] || 'before its first test'}`);
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
