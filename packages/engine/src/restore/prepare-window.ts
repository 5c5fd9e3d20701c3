/** Before a window's files are written: makes its folders and finds out what need not be made again. */
import { EdgeError } from '../core/errors.ts';
import { toHex } from '../core/ids.ts';
import type { CheckItem } from '../pipeline/tasks/extract-check.ts';
import type { RestoreRun } from './restore-run.ts';
import type { RestoreWindow, WindowItem } from './windows.ts';

export interface PreparedWindow {
  readonly smallFiles: readonly WindowItem[];
  /** Large files, with those whose size and time are right already. */
  readonly largeFiles: readonly { readonly item: WindowItem; readonly looksDone: boolean }[];
  readonly others: readonly WindowItem[];
  readonly links: readonly WindowItem[];
}

/** Items checked in one task. */
const CHECK_ITEMS = 256;

export async function prepareWindow(run: RestoreRun, window: RestoreWindow): Promise<PreparedWindow> {
  for (const { path, error } of window.broken) {
    run.failures.add(path, { code: error.code, message: `a part of this folder's listing is lost: ${error.message}` });
  }
  await makeFolders(run, window);
  const { rule } = run;
  if (rule === undefined) {
    const largeFiles = window.largeFiles.map((item) => ({ item, looksDone: false }));
    return { smallFiles: window.smallFiles, largeFiles, others: window.others, links: window.links };
  }
  const [smallFiles, largeFiles, others, links] = await Promise.all([
    check(run, window.smallFiles, true),
    check(run, window.largeFiles, false),
    check(run, window.others, false),
    // A further name is checked against the first one when it is made; here only the user's wish to keep what is there counts.
    rule === 'resume' ? window.links.map((item) => ({ item, verdict: 0 })) : check(run, window.links, false),
  ]);
  return {
    smallFiles: smallFiles.map(({ item }) => item),
    largeFiles: largeFiles.map(({ item, verdict }) => ({ item, looksDone: verdict === 2 })),
    others: others.map(({ item }) => item),
    links: links.map(({ item }) => item),
  };
}

async function makeFolders(run: RestoreRun, window: RestoreWindow): Promise<void> {
  if (window.folders.length === 0) return;
  const reuse = run.rule !== undefined;
  const folders = window.folders.map((folder) => folder.path);
  const replace = run.plan.input.inPlace !== undefined && run.rule !== 'never';
  // Not behind the files of the window before: the workers would run dry while the main thread gets this one ready.
  const { failures } = await run.tasks.run(
    () => run.pool.run('extractFolders', { root: run.root, folders, reuse, replace }),
    { first: true },
  );
  for (const { index, code, message } of failures) {
    if (code === 'E_NO_SPACE') run.stop.stop(new EdgeError(code, message));
    run.failures.add(folders[index]!, { code, message: `the folder could not be made: ${message}` }, false);
  }
  run.stop.check();
}

/** What is left to do, with the verdict on each. What stays as it is counts as skipped. */
async function check(
  run: RestoreRun,
  items: readonly WindowItem[],
  withContent: boolean,
): Promise<{ readonly item: WindowItem; readonly verdict: number }[]> {
  const groups: (readonly WindowItem[])[] = [];
  for (let at = 0; at < items.length; at += CHECK_ITEMS) groups.push(items.slice(at, at + CHECK_ITEMS));
  const left = await Promise.all(
    groups.map(async (group) => {
      const { verdicts, failures } = await run.tasks.run(() =>
        run.pool.run('extractCheck', {
          root: run.root,
          items: group.map((item) => toCheckItem(item, withContent)),
          rule: run.rule!,
          verify: run.resume,
          removeFolders: run.removeExtras,
        }),
      );
      const failed = new Set<number>();
      for (const failure of failures) {
        failed.add(failure.index);
        run.failItem(group[failure.index]!, failure);
      }
      const rest: { item: WindowItem; verdict: number }[] = [];
      for (const [i, item] of group.entries()) {
        if (failed.has(i)) continue;
        if (verdicts[i] === 1) {
          run.counts.skipped++;
          // What the user wanted kept is not the snapshot's content: other names of the entry must not be linked to it.
          const kept = item.entry.hardLink !== undefined && (run.rule === 'never' || run.rule === 'if-newer');
          if (kept) run.noFirstName.add(toHex(item.entry.hardLink!));
        } else rest.push({ item, verdict: verdicts[i]! });
      }
      return rest;
    }),
  );
  run.reportProgress();
  return left.flat();
}

function toCheckItem({ folder, name, entry }: WindowItem, withContent: boolean): CheckItem {
  const { type, mtimeNs, size, holes, target, content } = entry;
  const refs = !withContent ? undefined : content?.form === 'inline' ? content.refs : [];
  return { folder, name, type, mtimeNs, size, holes, target, refs };
}
