/** The folder that the quickstart protects: copied, edited while watched, measured. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const CACHEDIR_SIGNATURE = 'Signature: 8a477f597d28d172789f06886806bc55';

export function copyTree(from: string, to: string): void {
  const done = spawnSync('cp', ['-a', '--reflink=auto', `${from}/.`, to], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`copying ${from} failed: ${done.stderr}`);
}

/** Appends, rewrites, adds and removes; returns how many files it touched. */
export function editFiles(folder: string): number {
  const files: string[] = [];
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (files.length >= 60) break;
    if (lstatSync(join(folder, name), { throwIfNoEntry: false })?.isFile()) files.push(join(folder, name));
  }
  for (const [index, file] of files.entries()) {
    if (index % 6 === 0) rmSync(file);
    else appendFileSync(file, `edited while watched ${index}\n`);
  }
  mkdirSync(join(folder, 'added while watched'), { recursive: true });
  writeFileSync(join(folder, 'added while watched', 'new file'), 'written while the agent watches\n'.repeat(1000));
  return files.length + 1;
}

/** Folders that say of themselves that they hold nothing worth keeping (https://bford.info/cachedir/); relative, as manifests name them. */
export function cacheFolders(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(
      (name) =>
        basename(name) === 'CACHEDIR.TAG' && readFileSync(join(folder, name), 'latin1').startsWith(CACHEDIR_SIGNATURE),
    )
    .map((name) => Buffer.from(dirname(name)).toString('latin1'));
}

export function folderBytes(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stat = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (stat?.isFile()) bytes += stat.size;
  }
  return bytes;
}
