/**
 * Watches one root and says when something in it may have changed. Events only mark the root dirty: names in them are decoded strings, and some are
 * lost; what changed is found by the scan.
 */
import { isAbsolute, relative } from 'node:path';
import { errnoOf } from '@edgestore/engine';
import type { FSWatcher } from 'chokidar';

export interface RootWatcher {
  /** Resolves when all folders are watched. */
  readonly ready: Promise<void>;
  /** Why the watching is not complete; undefined while it is. */
  problem(): WatchProblem | undefined;
  close(): Promise<void>;
}

export interface WatchProblem {
  readonly code: 'W_WATCH_LIMIT' | 'W_WATCH_FAILED';
  readonly message: string;
}

export async function watchRoot(input: {
  readonly path: string;
  /** Folders that are not watched, such as the data dir. Absolute. */
  readonly leaveOut: readonly string[];
  /** True for a path below the root that the ignore rules leave out as a whole. */
  readonly isIgnored: (relativePath: string, isFolder: boolean) => boolean;
  readonly onEvent: () => void;
  readonly onProblem: (problem: WatchProblem) => void;
}): Promise<RootWatcher> {
  // Loaded here, so that commands which watch nothing do not pay for it.
  const { watch } = await import('chokidar');
  let problem: WatchProblem | undefined;
  const report = (next: WatchProblem): void => {
    // One message for each kind: a full inotify table fails for every folder that follows.
    if (problem?.code === next.code) return;
    problem = next;
    input.onProblem(next);
  };
  const watcher: FSWatcher = watch(input.path, {
    ignoreInitial: true,
    followSymlinks: false,
    persistent: true,
    // The periodic rescan finds what has no event; polling would cost all the time.
    usePolling: false,
    alwaysStat: false,
    atomic: false,
    ignorePermissionErrors: true,
    ignored: (path, stats) => {
      if (path === input.path) return false;
      if (input.leaveOut.some((folder) => isInside(path, folder))) return true;
      return input.isIgnored(relative(input.path, path), stats?.isDirectory() ?? false);
    },
  });
  watcher.on('all', input.onEvent);
  watcher.on('error', (error) => {
    const errno = errnoOf(error);
    if (errno === 'ENOSPC' || errno === 'EMFILE') {
      report({
        code: 'W_WATCH_LIMIT',
        message: `not every folder of ${input.path} can be watched (${errno}); changes there are found by the periodic rescan. Raise fs.inotify.max_user_watches or max_user_instances.`,
      });
    } else {
      report({
        code: 'W_WATCH_FAILED',
        message: `watching ${input.path}: ${error instanceof Error ? error.message : String(error)}`,
      });
    }
  });
  const ready = new Promise<void>((resolve) => watcher.once('ready', resolve));
  return { ready, problem: () => problem, close: () => watcher.close() };
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (!way.startsWith('..') && !isAbsolute(way));
}
