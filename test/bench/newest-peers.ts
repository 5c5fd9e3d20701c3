/**
 * The newest versions of the tools that we measure beside us. A stable Debian has them years old, which flatters us. apt-get downloads them from
 * the newest suite into a folder, with state of its own; the machine's package state is not changed and nothing is installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Debian's name for the suite to which every upload goes first. */
const SUITE = 'sid';
const SOURCES = '/etc/apt/sources.list.d';
const KEYRINGS = /^\/\S*debian-archive-keyring\.(gpg|pgp|asc)$/;

export interface NewestPeers {
  /** Goes in front of PATH; undefined where only what is installed can be measured. */
  readonly folder: string | undefined;
  /** Why `folder` is undefined. */
  readonly why: string | undefined;
}

/** Puts the named packages below `folder`, once: a later call finds what an earlier one downloaded. They must be single programs that run anywhere. */
export function fetchNewestPeers(folder: string, packages: readonly string[]): NewestPeers {
  const programs = join(folder, 'usr', 'bin');
  if (packages.every((name) => existsSync(join(programs, name)))) return { folder: programs, why: undefined };
  const apt = join(folder, 'apt');
  try {
    const archive = debianArchive();
    if (archive === undefined) return { folder: undefined, why: `${SOURCES} names no Debian archive with its keyring` };
    const options = ownApt(apt, archive);
    run('apt-get', [...options, '-qq', 'update'], apt);
    run('apt-get', [...options, '-qq', 'download', ...packages], apt);
    for (const file of readdirSync(apt).filter((name) => name.endsWith('.deb'))) run('dpkg', ['-x', file, folder], apt);
    for (const name of packages) run(join(programs, name), ['version'], apt);
    return { folder: programs, why: undefined };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    return { folder: undefined, why: error instanceof Error ? error.message : String(error) };
  } finally {
    rmSync(apt, { recursive: true, force: true });
  }
}

/** What the program says of its version, in one line; undefined when it does not run. */
export function versionOf(tool: 'restic' | 'borg', path = process.env.PATH): string | undefined {
  const asked = spawnSync(tool, [tool === 'restic' ? 'version' : '--version'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
  return asked.status === 0 ? asked.stdout.trim().split('\n')[0] : undefined;
}

interface Archive {
  readonly uris: string;
  readonly signedBy: string;
}

/** The archive and the keyring that this machine already trusts: no other address and no other key is used. */
function debianArchive(): Archive | undefined {
  if (!existsSync(SOURCES)) return undefined;
  const files = readdirSync(SOURCES).filter((name) => name.endsWith('.sources'));
  for (const file of files.sort()) {
    for (const stanza of readFileSync(join(SOURCES, file), 'utf8').split(/\n\s*\n/)) {
      const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'im').exec(stanza)?.[1]?.trim() ?? '';
      const [uris, signedBy] = [field('URIs'), field('Signed-By')];
      const isSecurity = /-security\b/.test(field('Suites'));
      if (uris !== '' && KEYRINGS.test(signedBy) && !isSecurity) return { uris, signedBy };
    }
  }
  return undefined;
}

/** Options that keep everything that apt-get reads or writes inside `apt`. */
function ownApt(apt: string, { uris, signedBy }: Archive): string[] {
  for (const name of ['lists/partial', 'cache/archives/partial', 'sources']) {
    mkdirSync(join(apt, name), { recursive: true });
  }
  const source = `Types: deb\nURIs: ${uris}\nSuites: ${SUITE}\nComponents: main\nSigned-By: ${signedBy}\n`;
  writeFileSync(join(apt, 'sources', 'newest.sources'), source);
  return [
    ['Dir::Etc::SourceList', '/dev/null'],
    ['Dir::Etc::SourceParts', join(apt, 'sources')],
    ['Dir::State::Lists', join(apt, 'lists')],
    ['Dir::Cache', join(apt, 'cache')],
    // As root, apt-get would drop to a user that may not write into this folder.
    ['APT::Sandbox::User', 'root'],
    ['Acquire::Retries', '2'],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

function run(command: string, args: readonly string[], cwd: string): void {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 300_000 });
  if (done.status === 0) return;
  const last = done.stderr?.trim().split('\n').at(-1) ?? '';
  throw new Error(`${command} ${args.at(-1)}: ${done.error?.message ?? (last === '' ? `exit ${done.status}` : last)}`);
}
