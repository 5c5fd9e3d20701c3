/** Text of the `root` commands. */
import type { CheckIgnoreData, RootData, RootListData, RootRemovedData } from '@edgestore/agent/operations/root-data';
import type { TextContext } from '../base-command.ts';
import { printable } from '../output/printable.ts';
import { shortId, shownPath, shownTime, table } from './lines.ts';

export type { CheckIgnoreData, RootData, RootListData, RootRemovedData };

export function renderRootAdded({ root, added, dry_run }: RootData, { colours }: TextContext): string[] {
  const verb = dry_run ? 'would be protected' : added ? 'is protected now' : 'was protected already';
  return [`${colours.bold(root.name)} (${printable(root.path)}) ${verb}`];
}

export function renderRoots({ roots }: RootListData): string[] {
  if (roots.length === 0) return ['No roots: add one with `edgestore root add`, or sync a path.'];
  const rows = roots.map((root) => [
    root.name,
    printable(root.path),
    root.watch ? 'yes' : 'no',
    root.last_snapshot === null ? 'never' : `${shortId(root.last_snapshot.id)} ${shownTime(root.last_snapshot.time)}`,
    root.present ? '' : 'folder is missing',
  ]);
  return table(['NAME', 'PATH', 'WATCHED', 'LAST SNAPSHOT', ''], rows);
}

export function renderRootRemoved({ name, dry_run }: RootRemovedData): string[] {
  return [dry_run ? `${name} would no longer be protected` : `${name} is no longer protected; its snapshots stay`];
}

export function renderCheckIgnore({ paths }: CheckIgnoreData, { colours }: TextContext): string[] {
  return paths.map((one) => {
    const because = one.rule === null ? '' : `  ${colours.dim(`${one.rule.pattern} (${one.rule.origin})`)}`;
    return `${one.ignored ? colours.yellow('ignored') : colours.green('kept   ')}  ${shownPath(one)}${because}`;
  });
}
