/** Decides when each root is captured: a while after the last change in it, and in any case every `rescan`. Pure but for the time that it is told. */
import type { RootConfig } from '../config/config.ts';

/** Changes that never pause are captured all the same after this many settle times. */
const SETTLES_MAX = 15;
const RETRY_MS_MIN = 5000;
const RETRY_MS_MAX = 10 * 60_000;

export interface DueRoot {
  readonly root: RootConfig;
  readonly why: 'watch' | 'rescan';
}

export interface CaptureScheduler {
  setRoots(roots: readonly RootConfig[], nowMs: number): void;
  /** Something in the root may have changed. */
  dirty(root: string, nowMs: number): void;
  /** The root to capture now, and how long to wait otherwise. */
  next(nowMs: number): { readonly due: DueRoot } | { readonly waitMs: number | undefined };
  started(root: string): void;
  succeeded(root: string, nowMs: number): void;
  /** It is tried again, later each time. */
  failed(root: string, nowMs: number): void;
}

interface RootState {
  root: RootConfig;
  firstDirtyMs: number | undefined;
  lastDirtyMs: number | undefined;
  rescanAtMs: number;
  notBeforeMs: number;
  failures: number;
}

export function createCaptureScheduler(): CaptureScheduler {
  const states = new Map<string, RootState>();

  /** When the root is due, and why. */
  function dueOf(state: RootState): { readonly atMs: number; readonly why: DueRoot['why'] } {
    const { firstDirtyMs, lastDirtyMs, root } = state;
    const rescan = { atMs: Math.max(state.rescanAtMs, state.notBeforeMs), why: 'rescan' as const };
    if (firstDirtyMs === undefined || lastDirtyMs === undefined) return rescan;
    const settled = Math.min(lastDirtyMs + root.settleMs, firstDirtyMs + SETTLES_MAX * root.settleMs);
    const watch = { atMs: Math.max(settled, state.notBeforeMs), why: 'watch' as const };
    return watch.atMs <= rescan.atMs ? watch : rescan;
  }

  return {
    setRoots(roots, nowMs) {
      for (const name of states.keys()) if (!roots.some((root) => root.name === name)) states.delete(name);
      for (const root of roots) {
        const known = states.get(root.name);
        // A new root, and every root at the start, is scanned at once: nobody watched it before. An unwatched one is captured when somebody
        // syncs it, and by the periodic rescan.
        if (known === undefined || known.root.path !== root.path) {
          states.set(root.name, {
            root,
            firstDirtyMs: undefined,
            lastDirtyMs: undefined,
            rescanAtMs: root.watch ? nowMs : nowMs + root.rescanMs,
            notBeforeMs: nowMs,
            failures: 0,
          });
        } else {
          const isWatchedNow = root.watch && !known.root.watch;
          known.root = root;
          known.rescanAtMs = isWatchedNow ? nowMs : Math.min(known.rescanAtMs, nowMs + root.rescanMs);
        }
      }
    },
    dirty(name, nowMs) {
      const state = states.get(name);
      if (state === undefined) return;
      state.firstDirtyMs ??= nowMs;
      state.lastDirtyMs = nowMs;
    },
    next(nowMs) {
      let first: { readonly state: RootState; readonly atMs: number; readonly why: DueRoot['why'] } | undefined;
      for (const state of states.values()) {
        const due = dueOf(state);
        if (first === undefined || due.atMs < first.atMs) first = { state, ...due };
      }
      if (first === undefined) return { waitMs: undefined };
      return first.atMs <= nowMs ? { due: { root: first.state.root, why: first.why } } : { waitMs: first.atMs - nowMs };
    },
    started(name) {
      const state = states.get(name);
      if (state === undefined) return;
      // What changes from here on counts as new: the scan may have passed it already.
      state.firstDirtyMs = undefined;
      state.lastDirtyMs = undefined;
    },
    succeeded(name, nowMs) {
      const state = states.get(name);
      if (state === undefined) return;
      state.failures = 0;
      state.notBeforeMs = nowMs;
      state.rescanAtMs = nowMs + state.root.rescanMs;
    },
    failed(name, nowMs) {
      const state = states.get(name);
      if (state === undefined) return;
      const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(state.failures++, 10));
      state.notBeforeMs = nowMs + waitMs;
      state.rescanAtMs = Math.min(state.rescanAtMs, state.notBeforeMs);
    },
  };
}
