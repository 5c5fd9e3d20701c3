// The layer rule of docs/architecture.md as a failing check: which folder may import which, and who may touch the outside world.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const engine = 'packages/engine/src';

const PURE = ['chain', 'chunking', 'codec', 'keys', 'pack', 'tree', 'log', 'policy', 'placement'];
const DRIVERS = ['store', 'index', 'files', 'pipeline'];
const FLOWS = [
  'browse',
  'capture',
  'collect',
  'demote',
  'give-up',
  'hold',
  'log-repair',
  'rebuild',
  'recover',
  'replicate',
  'restore',
  'scrub',
];

/** Folder of the engine → folders that it may import besides itself. Folders not named here may import nothing but core. */
const MAY_IMPORT = {
  core: [],
  ports: ['core'],
  ...Object.fromEntries(PURE.map((name) => [name, ['core', ...PURE]])),
  ...Object.fromEntries(DRIVERS.map((name) => [name, ['core', 'ports', ...PURE]])),
  // Workers read and write files by themselves: the worker's entry is where the two drivers meet.
  pipeline: ['core', 'ports', ...PURE, 'files'],
  // What reads a snapshot's trees is shared by the flows that only read (see docs/architecture.md).
  ...Object.fromEntries(FLOWS.map((name) => [name, ['core', 'ports', ...PURE, ...DRIVERS, 'browse']])),
};
/** Types of the ports describe trees and records, which are plain data. */
const TYPE_ONLY = { core: ['chain', 'log', 'ports', 'tree', 'keys'], ports: ['chain', 'log', 'tree', 'keys'] };
/** Outside world that pure code may not reach. `node:crypto` and `node:zlib` are deterministic functions there. */
const WORLD =
  /^(node:)?(fs|net|tls|http|https|child_process|worker_threads|os|process|dgram)(\/|$)|^(better-sqlite3|koffi|@aws-sdk\/)/;
/** Pure by contract, but runs its memory-hungry derivation in a short-lived thread. */
const WORLD_EXCEPTIONS = new Set([`${engine}/keys/argon2-in-worker.ts`, `${engine}/keys/argon2-worker.ts`]);
const AMBIENT = /\bDate\.now\(|\bMath\.random\(|\bprocess\.env\b|\bconsole\./;

const problems = [];
for (const file of sources(join(root, 'packages'))) {
  const path = relative(root, file);
  const text = readFileSync(file, 'utf8');
  for (const { specifier, typeOnly } of importsOf(text)) checkImport(path, specifier, typeOnly);
  if (path.startsWith(`${engine}/`) && !isComposition(path) && AMBIENT.test(stripComments(text))) {
    problems.push(`${path}: reaches the clock, chance, environment or console by itself; take them as arguments`);
  }
}
if (problems.length > 0) {
  process.stderr.write(
    `${problems.join('\n')}\n${problems.length} breach(es) of the layer rule (docs/architecture.md)\n`,
  );
  process.exit(1);
}

function checkImport(path, specifier, typeOnly) {
  const [, packageName] = path.split('/');
  if (packageName === 'engine' && /^@edgestore\//.test(specifier))
    problems.push(`${path}: the engine may not import ${specifier}`);
  if (packageName === 'agent' && /^@edgestore\/cli/.test(specifier))
    problems.push(`${path}: the agent may not import ${specifier}`);
  if (packageName !== 'engine') return;
  const from = folderOf(path);
  if (from === undefined) return;
  if (!specifier.startsWith('.')) {
    if ((PURE.includes(from) || from === 'core') && WORLD.test(specifier) && !WORLD_EXCEPTIONS.has(path) && !typeOnly) {
      problems.push(`${path}: pure code may not import ${specifier}`);
    }
    return;
  }
  const to = folderOf(relative(root, resolve(dirname(join(root, path)), specifier)));
  if (to === from) return;
  if (to === undefined) problems.push(`${path}: imports ${specifier}, which lies above it`);
  else if (to === 'testing' && from !== 'testing') problems.push(`${path}: imports test code ${specifier}`);
  else if (from === 'testing') return;
  else if (!(MAY_IMPORT[from] ?? ['core']).includes(to) && !(typeOnly && TYPE_ONLY[from]?.includes(to))) {
    problems.push(`${path}: ${from}/ may not import ${to}/ (${specifier})`);
  }
}

/** `chunking` for packages/engine/src/chunking/…; undefined for files that lie directly in src. */
function folderOf(path) {
  const rest = path.slice(engine.length + 1).split('/');
  return path.startsWith(`${engine}/`) && rest.length > 1 ? rest[0] : undefined;
}

/** The composition roots of the engine: files directly in src, and what the tests bring. */
function isComposition(path) {
  return folderOf(path) === undefined || path.startsWith(`${engine}/testing/`);
}

function importsOf(text) {
  const found = [];
  const pattern =
    /(?:^|\n)\s*(import|export)\s+(type\s)?[^'"`;]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s+['"]([^'"]+)['"]/g;
  for (const match of text.matchAll(pattern)) {
    found.push({ specifier: match[3] ?? match[4] ?? match[5], typeOnly: match[2] !== undefined });
  }
  return found;
}

function stripComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:])\/\/.*$/gm, '$1');
}

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name === 'kernel') continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts') && !entry.name.endsWith('.d.ts'))
      yield path;
  }
}
