/** Keeps the snapshots of all roots up to date: watches, waits until changes settle, captures, one root after the other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createIgnoreRules,
  type EdgeError,
  errnoOf,
  type FolderIgnore,
  IGNORE_FILE_BYTES_MAX,
  IGNORE_FILE_NAME,
  isEdgeError,
  toEdgeError,
} from '@edgestore/engine';
import type { RootConfig } from '../config/config.ts';
import type { AgentHome } from '../home/agent-home.ts';
import type { AgentMetrics } from '../metrics/agent-metrics.ts';
import { type RootWatcher, watchRoot } from '../watch/root-watcher.ts';
import type { AgentEvents } from './agent-events.ts';
import { captureRoot } from './capture-root.ts';
import { createCaptureScheduler } from './capture-scheduler.ts';
import { type BackgroundWorker, startWorker } from './worker.ts';

export interface CaptureWorker {
  readonly worker: BackgroundWorker;
  watching(): readonly string[];
  /** The roots were changed in the configuration. */
  reconfigure(): Promise<void>;
  stop(): Promise<void>;
}

export function startCaptureWorker(deps: {
  readonly home: AgentHome;
  readonly events: AgentEvents;
  readonly metrics: AgentMetrics;
  readonly onError: (error: EdgeError, worker: string) => void;
}): CaptureWorker {
  const { home, events, metrics } = deps;
  const { clock } = home.engine;
  const scheduler = createCaptureScheduler();
  const watchers = new Map<string, { readonly root: RootConfig; readonly watcher: RootWatcher }>();
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
        scheduler.failed(root.name, clock.monotonicMs());
        metrics.captured(root.name, known.code, (clock.monotonicMs() - startedMs) / 1000);
        events.emit({ type: 'capture_failed', root: root.name, code: known.code, message: known.message });
        // One root that is not there must not keep the others waiting; the disk being full concerns all.
        if (isEdgeError(known, 'E_NO_SPACE')) throw known;
      }
      return 0;
    },
  });

  async function watchAll(): Promise<void> {
    const wanted = home.config.roots.filter((root) => root.watch);
    for (const [name, { root, watcher }] of watchers) {
      if (wanted.some((one) => one.name === name && JSON.stringify(one) === JSON.stringify(root))) continue;
      watchers.delete(name);
      await watcher.close();
    }
    for (const root of wanted) {
      if (watchers.has(root.name)) continue;
      const rules = rulesOf(root);
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
      watchers.set(root.name, { root, watcher });
      // What changed after the scan had passed it and before it was watched has no event: one more look, which is cheap.
      void watcher.ready.then(() => {
        scheduler.dirty(root.name, clock.monotonicMs());
        worker.wake();
      });
    }
  }

  void watchAll().catch((error: unknown) => deps.onError(toEdgeError(error, 'watching'), 'watch'));
  return {
    worker,
    watching: () => [...watchers.keys()],
    reconfigure: async () => {
      scheduler.setRoots(home.config.roots, clock.monotonicMs());
      worker.wake();
      await watchAll();
    },
    stop: async () => {
      await Promise.all([...watchers.values()].map(({ watcher }) => watcher.close()));
      await worker.stop();
    },
  };
}

/** The rules at the root's top are enough to keep the big ignored folders unwatched; what lies deeper costs an event too many. */
function rulesOf(root: RootConfig): FolderIgnore {
  let file: Uint8Array | undefined;
  try {
    const bytes = readFileSync(join(root.path, IGNORE_FILE_NAME));
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
