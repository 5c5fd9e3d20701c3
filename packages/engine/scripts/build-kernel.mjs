// Compiles the chunker kernel (AssemblyScript) and embeds it as base64 in src/chunking/kernel-wasm.ts, which is committed so that the
// sources run without a build. With --check it only says whether the committed file is what the sources give.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)));
const target = join(packageRoot, 'src/chunking/kernel-wasm.ts');

const folder = mkdtempSync(join(tmpdir(), 'edgestore-kernel-'));
try {
  const source = moduleSource(compile(join(folder, 'fastcdc.wasm')));
  const committed = readIfThere(target);
  if (committed !== source) {
    if (process.argv.includes('--check')) {
      process.stderr.write(
        'src/chunking/kernel-wasm.ts is not what src/chunking/kernel gives; run npm run build and commit it.\n',
      );
      process.exitCode = 1;
    } else {
      writeFileSync(target, source);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

function compile(wasmFile) {
  const options = [
    '-Ospeed',
    '--noAssert',
    '--runtime',
    'stub',
    '--importMemory',
    '--initialMemory',
    '1',
    '--use',
    'abort=',
  ];
  // npm's scripts have this folder in their path already; tests that call this file do not.
  const path = [join(packageRoot, '../../node_modules/.bin'), process.env.PATH ?? ''].join(delimiter);
  const done = spawnSync('asc', ['src/chunking/kernel/fastcdc.ts', ...options, '--outFile', wasmFile], {
    cwd: packageRoot,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  if (done.status !== 0) throw new Error(`asc failed (${done.status ?? done.signal})`);
  return readFileSync(wasmFile);
}

function moduleSource(wasm) {
  return [
    '// Generated from src/chunking/kernel by scripts/build-kernel.mjs; do not edit.',
    '',
    '/** The compiled chunker kernel. */',
    'export const KERNEL_WASM_BASE64 =',
    `  '${wasm.toString('base64')}';`,
    '',
  ].join('\n');
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
