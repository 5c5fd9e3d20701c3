/** Programs that an injector needs. Where one is missing, a test says why it is skipped; EDGESTORE_TEST_INSTALL=1 installs it instead. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNoStrace } from '../../crash/strace.ts';

export type Tool = 'strace' | 'loop disk' | 'libfaketime';

/** Why the tool cannot be used on this machine; undefined when it can. Looked for once a process. */
export function whyNo(tool: Tool): string | undefined {
  const known = answers.get(tool);
  if (known !== undefined) return known.why;
  let why = PROBES[tool].probe();
  if (why !== undefined && process.env.EDGESTORE_TEST_INSTALL === '1') {
    install(PROBES[tool].packages);
    why = PROBES[tool].probe();
  }
  answers.set(tool, { why });
  return why;
}

/** Where Debian puts the library that changes a program's clock; undefined when it is not installed. */
export function faketimeLibrary(): string | undefined {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  return [
    `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`,
    `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`,
  ].find((path) => existsSync(path));
}

const answers = new Map<Tool, { readonly why: string | undefined }>();

const PROBES: Readonly<Record<Tool, { packages: readonly string[]; probe: () => string | undefined }>> = {
  strace: {
    packages: ['strace'],
    probe: () => (process.platform === 'linux' ? whyNoStrace() : 'only Linux has strace'),
  },
  'loop disk': { packages: ['e2fsprogs', 'mount'], probe: whyNoLoopDisk },
  libfaketime: {
    packages: ['libfaketime'],
    probe: () =>
      faketimeLibrary() === undefined
        ? 'libfaketime is not installed (EDGESTORE_TEST_INSTALL=1 installs it)'
        : undefined,
  },
};

function whyNoLoopDisk(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can mount a loop disk';
  const folder = mkdtempSync(join(tmpdir(), 'edgestore-loop-probe-'));
  const image = `${folder}.img`;
  try {
    writeFileSync(image, '');
    truncateSync(image, 8 << 20);
    for (const [command = '', ...args] of [
      ['mkfs.ext4', '-q', '-F', image],
      ['mount', '-o', 'loop', image, folder],
      ['umount', folder],
    ]) {
      const done = spawnSync(command, args, { encoding: 'utf8' });
      if (done.status !== 0) return `${command}: ${done.error?.message ?? done.stderr.trim()}`;
    }
    return undefined;
  } finally {
    rmSync(image, { force: true });
    rmSync(folder, { recursive: true, force: true });
  }
}

function install(packages: readonly string[]): void {
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      encoding: 'utf8',
    });
  const once = () => apt('install', '-y', '--no-install-recommends', ...packages);
  let done = once();
  if (done.status !== 0) {
    apt('update');
    done = once();
  }
  if (done.status !== 0) throw new Error(`apt-get install ${packages.join(' ')} failed:\n${done.stderr}`.slice(-2000));
}
