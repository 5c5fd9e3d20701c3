/**
 * Watches one root and says when something in it may have changed. Events only mark the root dirty: names in them are decoded strings, and some are
 * lost; what changed is found by the scan.
 */
import { isAbsolute, relative } from 'node:path';
import { errnoOf, unescapeName } from '@edgestore/engine';
import type { FSWatcher } from 'chokidar';

export interface RootWatcher {
  /** Resolves when all folders are watched. */
  readonly ready: Promise<void>;
  /** Why the watching is not complete; undefined while it is. */
  problem(): WatchProblem | undefined;
  close(): Promise<void>;
}

export interface WatchProblem {
  readonly code: 'W_WATCH_LIMIT' | 'W_WATCH_FAILED' | 'W_WATCH_NAME';
  readonly message: string;
}

export async function watchRoot(input: {
  /** As in the configuration: absolute, escaped. */
  readonly path: string;
  /** Folders that are not watched, such as the data dir. Absolute. */
  readonly leaveOut: readonly string[];
  /** True for a path below the root that the ignore rules leave out as a whole. */
  readonly isIgnored: (relativePath: string, isFolder: boolean) => boolean;
  readonly onEvent: () => void;
  readonly onProblem: (problem: WatchProblem) => void;
}): Promise<RootWatcher> {
  const path = watchablePath(input.path);
  if (path === undefined) {
    const unwatchable: WatchProblem = {
      code: 'W_WATCH_NAME',
      message: `${input.path} cannot be watched, since its name is not UTF-8 or has a backslash: changes there are found by the periodic rescan`,
    };
    input.onProblem(unwatchable);
    return { ready: Promise.resolve(), problem: () => unwatchable, close: async () => {} };
  }
  // Loaded here, so that commands which watch nothing do not pay for it.
  const { watch } = await import('chokidar');
  let problem: WatchProblem | undefined;
  const report = (next: WatchProblem): void => {
    // One message for each kind: a full inotify table fails for every folder that follows.
    if (problem?.code === next.code) return;
    problem = next;
    input.onProblem(next);
  };
  const watcher: FSWatcher = watch(path, {
    ignoreInitial: true,
    followSymlinks: false,
    persistent: true,
    // The periodic rescan finds what has no event; polling would cost all the time.
    usePolling: false,
    alwaysStat: false,
    atomic: false,
    ignorePermissionErrors: true,
    ignored: (entry, stats) => {
      if (entry === path) return false;
      if (input.leaveOut.some((folder) => isInside(entry, folder))) return true;
      return input.isIgnored(relative(path, entry), stats?.isDirectory() ?? false);
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

/** The path as the library takes it; undefined where bytes of it are no UTF-8, or a backslash, of which the library makes a slash. Not the escaped text of the configuration: nothing lies under that name. */
export function watchablePath(path: string): string | undefined {
  const bytes = Buffer.from(unescapeName(path));
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) && !text.includes('\\') ? text : undefined;
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (!way.startsWith('..') && !isAbsolute(way));
}
