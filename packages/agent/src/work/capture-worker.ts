/** Keeps the snapshots of all roots up to date: watches, waits until changes settle, captures, one root after the other. */
import { readFileSync } from 'node:fs';
import {
  createIgnoreRules,
  type EdgeError,
  errnoOf,
  type FolderIgnore,
  IGNORE_FILE_BYTES_MAX,
  IGNORE_FILE_NAME,
  isEdgeError,
  toEdgeError,
  unescapeName,
} from '@edgestore/engine';
import type { RootConfig } from '../config/config.ts';
import type { AgentHome } from '../home/agent-home.ts';
import type { AgentMetrics } from '../metrics/agent-metrics.ts';
import { rootIdentity } from '../watch/root-identity.ts';
import { type RootWatcher, watchRoot } from '../watch/root-watcher.ts';
import type { AgentEvents } from './agent-events.ts';
import { captureRoot } from './capture-root.ts';
import { createCaptureScheduler } from './capture-scheduler.ts';
import { type BackgroundWorker, startWorker } from './worker.ts';

export interface CaptureWorker {
  readonly worker: BackgroundWorker;
  watching(): readonly string[];
  /** Why changes in some root would go unseen now; empty when each is watched or was scanned since the start, and its last capture did not fail. */
  notReady(): Promise<readonly string[]>;
  /** The roots were changed in the configuration. */
  reconfigure(): Promise<void>;
  stop(): Promise<void>;
}

const LOOK_AT_ROOTS_MS = 10_000;

export function startCaptureWorker(deps: {
  readonly home: AgentHome;
  readonly events: AgentEvents;
  readonly metrics: AgentMetrics;
  readonly onError: (error: EdgeError, worker: string) => void;
}): CaptureWorker {
  const { home, events, metrics } = deps;
  const { clock } = home.engine;
  const scheduler = createCaptureScheduler();
  const watchers = new Map<
    string,
    {
      readonly root: RootConfig;
      readonly watcher: RootWatcher;
      readonly identity: string | undefined;
      isReady: boolean;
    }
  >();
  /** How the last capture of each root ended: what went wrong, or undefined. */
  const captured = new Map<string, string | undefined>();
  scheduler.setRoots(home.config.roots, clock.monotonicMs());

  const worker = startWorker({
    name: 'capture',
    clock,
    onError: deps.onError,
    work: async (signal) => {
      const next = scheduler.next(clock.monotonicMs());
      if (!('due' in next)) return next.waitMs;
      const { root, why } = next.due;
      scheduler.started(root.name);
      const startedMs = clock.monotonicMs();
      try {
        const report = await captureRoot(root, why, {
          home,
          signal,
          warn: (warning) => events.emit({ type: 'warning', ...warning, root: root.name }),
        });
        scheduler.succeeded(root.name, clock.monotonicMs());
        captured.set(root.name, undefined);
        metrics.captured(root.name, 'ok', (clock.monotonicMs() - startedMs) / 1000);
        if (!report.treeUnchanged || report.failures.length > 0) {
          events.emit({
            type: 'captured',
            root: root.name,
            why,
            snapshot: report.snapshot ?? null,
            files: report.files,
            bytes: report.bytes,
            failures: report.failures.length + report.failuresOmitted,
          });
        }
      } catch (error) {
        if (signal.aborted) return undefined;
        const known = toEdgeError(error);
        captured.set(root.name, `${known.code}: ${known.message}`);
        scheduler.failed(root.name, clock.monotonicMs());
        metrics.captured(root.name, known.code, (clock.monotonicMs() - startedMs) / 1000);
        events.emit({ type: 'capture_failed', root: root.name, code: known.code, message: known.message });
        // One root that is not there must not keep the others waiting; the disk being full concerns all.
        if (isEdgeError(known, 'E_NO_SPACE')) throw known;
      }
      return 0;
    },
  });

  /** One at a time, or two would watch the same root. */
  let watchingAll: Promise<void> = Promise.resolve();
  function watchAll(): Promise<void> {
    watchingAll = watchingAll.catch(() => {}).then(watchWanted);
    return watchingAll;
  }

  async function watchWanted(): Promise<void> {
    const wanted = home.config.roots.filter((root) => root.watch);
    for (const [name, { root, watcher }] of watchers) {
      if (wanted.some((one) => one.name === name && JSON.stringify(one) === JSON.stringify(root))) continue;
      watchers.delete(name);
      await watcher.close();
    }
    for (const root of wanted) {
      if (watchers.has(root.name)) continue;
      const rules = rulesOf(root);
      const identity = await rootIdentity(root.path);
      const watcher = await watchRoot({
        path: root.path,
        leaveOut: [home.dataDir.path, home.dataDir.packDir],
        isIgnored: (path, isFolder) => isIgnored(rules, path, isFolder),
        onEvent: () => {
          scheduler.dirty(root.name, clock.monotonicMs());
          metrics.watchEvent(root.name);
          worker.wake();
        },
        onProblem: (problem) => {
          metrics.watchProblem(root.name, problem.code);
          events.emit({ type: 'warning', root: root.name, ...problem });
        },
      });
      const entry = { root, watcher, identity, isReady: false };
      watchers.set(root.name, entry);
      // What changed after the scan had passed it and before it was watched has no event: one more look, which is cheap.
      void watcher.ready.then(() => {
        entry.isReady = true;
        scheduler.dirty(root.name, clock.monotonicMs());
        worker.wake();
      });
    }
  }

  async function reasonAgainst({ name, path, watch }: RootConfig): Promise<string | undefined> {
    if ((await rootIdentity(path)) === undefined) return `root ${name} is not there: ${path}`;
    const problem = captured.get(name);
    if (problem !== undefined) return `root ${name} could not be captured: ${problem}`;
    const isSeen = !watch || captured.has(name) || watchers.get(name)?.isReady === true;
    return isSeen ? undefined : `root ${name} is not watched yet, and was not scanned since the start`;
  }

  /** A root that went, came or was replaced has no event: it is watched anew, and looked at. */
  const looking = startWorker({
    name: 'roots',
    clock,
    onError: deps.onError,
    work: async () => {
      for (const [name, { root, watcher, identity }] of watchers) {
        if ((await rootIdentity(root.path)) === identity) continue;
        // A reload may have put another watcher there meanwhile.
        if (watchers.get(name)?.watcher === watcher) watchers.delete(name);
        await watcher.close();
        scheduler.dirty(name, clock.monotonicMs());
        worker.wake();
      }
      await watchAll();
      return LOOK_AT_ROOTS_MS;
    },
  });

  return {
    worker,
    watching: () =>
      [...watchers].flatMap(([name, { watcher }]) => (watcher.problem()?.code === 'W_WATCH_NAME' ? [] : [name])),
    notReady: async () => {
      const reasons = await Promise.all(home.config.roots.map(reasonAgainst));
      return reasons.filter((reason) => reason !== undefined);
    },
    reconfigure: async () => {
      scheduler.setRoots(home.config.roots, clock.monotonicMs());
      worker.wake();
      await watchAll();
    },
    stop: async () => {
      await looking.stop();
      await Promise.all([...watchers.values()].map(({ watcher }) => watcher.close()));
      await worker.stop();
    },
  };
}

/** The rules at the root's top are enough to keep the big ignored folders unwatched; what lies deeper costs an event too many. */
function rulesOf(root: RootConfig): FolderIgnore {
  let file: Uint8Array | undefined;
  try {
    const bytes = readFileSync(Buffer.concat([unescapeName(root.path), Buffer.from(`/${IGNORE_FILE_NAME}`)]));
    file = bytes.length > IGNORE_FILE_BYTES_MAX ? undefined : bytes;
  } catch (error) {
    // The capture is what reports an ignore file that cannot be read.
    if (errnoOf(error) === undefined) throw error;
  }
  return createIgnoreRules(root.exclude, file);
}

function isIgnored(rules: FolderIgnore, path: string, isFolder: boolean): boolean {
  const parts = path.split('/').filter((part) => part !== '');
  let here = rules;
  for (const [i, part] of parts.entries()) {
    const name = Buffer.from(part, 'utf8');
    const isLast = i === parts.length - 1;
    if (here.match(name, isLast ? isFolder : true) !== undefined) return true;
    if (!isLast) here = here.enter(name, undefined);
  }
  return false;
}
