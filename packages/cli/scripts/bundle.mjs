// Bundles the program: our three packages and the small libraries become a few files, split so that a start loads what its command needs.
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

/**
 * Writes `dist` and returns the ids (paths) of all modules that are in it. What `dependencies` of package.json names stays outside. Nothing is
 * minified, so that stack traces stay readable.
 */
export async function bundle(root) {
  const packages = join(root, '..');
  const input = entriesOf(root, packages);
  const dependencies = dependenciesOf(root);
  checkVersions(dependencies, packages);
  const external = [...Object.keys(dependencies), ...NEVER_THERE];
  // The first pass says what each entry reaches once unused exports are gone; by that the second puts modules together.
  const layers = layersOf(await build({ root, input, external, groups: [] }), packages);
  const groups = LAYERS.map((name, index) => ({
    name,
    test: (id) => layers.get(id) === name,
    priority: LAYERS.length - index,
  }));
  const chunks = await build({ root, input, external, groups, dir: join(root, 'dist') });
  check(chunks, Object.keys(dependencies));
  return chunks.flatMap((chunk) => chunk.moduleIds);
}

/** oclif would use it to run commands that are not compiled, and does without where it is not there. */
const NEVER_THERE = ['typescript'];

/** What a start of most commands loads, each once: see `layersOf`. */
const LAYERS = ['core', 'program', 'shared', 'home', 'scan-shared', 'scan', 'capture'];

function dependenciesOf(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).dependencies;
}

/** What stays outside is installed by this package's word, and was tested with the versions of those that import it. */
function checkVersions(dependencies, packages) {
  const tested = { ...dependenciesOf(join(packages, 'engine')), ...dependenciesOf(join(packages, 'agent')) };
  for (const [name, version] of Object.entries(dependencies)) {
    if (tested[name] !== version)
      throw new Error(`packages/cli depends on ${name} ${version}, and the engine or the agent on ${tested[name]}`);
  }
}

function entriesOf(root, packages) {
  const commands = readdirSync(join(root, 'src/commands'), { recursive: true }).filter((name) => name.endsWith('.ts'));
  return {
    start: join(root, 'src/start.ts'),
    // The code that starts a thread looks for its file beside itself.
    worker: join(packages, 'engine/dist/pipeline/worker.js'),
    'argon2-worker': join(packages, 'engine/dist/keys/argon2-worker.js'),
    ...Object.fromEntries(commands.map((name) => [`commands/${name.slice(0, -3)}`, join(root, 'src/commands', name)])),
  };
}

async function build({ root, input, external, groups, dir }) {
  const build = await rolldown({
    cwd: root,
    input,
    external,
    platform: 'node',
    transform: { target: 'node22' },
    // oclif's flags load its help anyway.
    checks: { ineffectiveDynamicImport: false },
    onLog: (level, { message }) => {
      throw new Error(`${level}: ${message}`);
    },
  });
  try {
    const options = {
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: '[name].js',
      comments: { legal: false, jsdoc: false, annotation: false },
    };
    const output = { ...options, codeSplitting: groups.length === 0 ? true : { groups } };
    const made =
      dir === undefined ? await build.generate(output) : await build.write({ ...output, dir, cleanDir: true });
    return made.output;
  } finally {
    await build.close();
  }
}

/**
 * Module → layer: `program` until the command is known, `home` to open a data dir, `capture` for sync, `scan` for a thread that looks for changes;
 * what a thread has in common with the others is apart, so that it loads no more than it needs. All else is split by who imports it.
 */
function layersOf(chunks, packages) {
  const reach = reachIn(chunks, packages);
  const commands = chunks
    .filter(({ name }) => name.startsWith('commands/'))
    .map(({ facadeModuleId }) => reach(facadeModuleId));
  const inCommands = (id) => commands.filter((reached) => reached.has(id)).length;
  const program = reach('cli/src/program/main.ts');
  for (const id of commands.flatMap((reached) => [...reached]))
    if (inCommands(id) >= commands.length / 4) program.add(id);
  const home = reach(
    'agent/dist/operations/run-operation.js',
    'agent/dist/operations/system.js',
    'cli/src/unlock/find-secret.ts',
  );
  const thread = reach('engine/dist/pipeline/worker.js');
  const scan = new Set([...thread, ...reach('engine/dist/pipeline/tasks/scan.js')]);
  const capture = reach('agent/dist/operations/sync.js');
  const layerOf = (id) => {
    const inThread = scan.has(id);
    if (program.has(id)) return inThread ? 'core' : 'program';
    if (home.has(id)) return inThread ? 'shared' : 'home';
    if (capture.has(id)) return inThread ? 'scan-shared' : 'capture';
    return thread.has(id) ? undefined : 'scan';
  };
  return new Map([...program, ...home, ...scan, ...capture].map((id) => [id, layerOf(id)]));
}

/** What a start of the given entries loads, without what they import later. */
function reachIn(chunks, packages) {
  const byFile = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  return (...paths) => {
    const seen = new Set();
    const visit = (chunk) => {
      if (chunk === undefined || seen.has(chunk)) return;
      seen.add(chunk);
      for (const file of chunk.imports) visit(byFile.get(file));
    };
    for (const path of paths) {
      const entry = chunks.find(({ facadeModuleId }) => facadeModuleId === resolve(packages, path));
      if (entry === undefined) throw new Error(`${path} is no entry of the bundle`);
      visit(entry);
    }
    return new Set([...seen].flatMap(({ moduleIds }) => moduleIds));
  };
}

/** What would only be noticed by somebody who installs the package. */
function check(chunks, dependencies) {
  const files = chunks.map(({ fileName }) => fileName);
  const imported = new Set(chunks.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]));
  const known = new Set([...files, ...dependencies, ...NEVER_THERE]);
  for (const name of imported) {
    if (!known.has(name) && !isBuiltin(name))
      throw new Error(`${name} is imported, and neither bundled nor among the dependencies of packages/cli`);
  }
  for (const { fileName, code } of chunks) {
    // Files beside the code (threads, migrations, package.json above it) are where they are in the sources only in `dist` itself.
    if (fileName.includes('/') && code.includes('import.meta'))
      throw new Error(`${fileName} looks for files of its own`);
  }
  for (const name of dependencies) {
    if (!imported.has(name)) throw new Error(`packages/cli depends on ${name}, and nothing in the bundle imports it`);
  }
}
