import { describe, expect, it } from 'vitest';
import type { RootConfig } from '../config/config.ts';
import { createCaptureScheduler } from './capture-scheduler.ts';

const root = (name: string, over: Partial<RootConfig> = {}): RootConfig => ({
  name,
  path: `/${name}`,
  exclude: [],
  watch: true,
  rescanMs: 1000_000,
  settleMs: 2000,
  maxDelete: undefined,
  oneFileSystem: false,
  tiering: undefined,
  replication: undefined,
  ...over,
});

/** A scheduler whose roots were all captured at time 0. */
function settled(...roots: RootConfig[]) {
  const scheduler = createCaptureScheduler();
  scheduler.setRoots(roots, 0);
  for (const { name } of roots) {
    scheduler.started(name);
    scheduler.succeeded(name, 0);
  }
  return scheduler;
}

describe('the capture scheduler', () => {
  it('captures every root once at the start', () => {
    const scheduler = createCaptureScheduler();
    scheduler.setRoots([root('a')], 5);
    expect(scheduler.next(5)).toEqual({ due: { root: root('a'), why: 'rescan' } });
  });

  it('waits until changes settle, and no longer than fifteen settle times', () => {
    const scheduler = settled(root('a'));
    scheduler.dirty('a', 100);
    expect(scheduler.next(100)).toEqual({ waitMs: 2000 });
    scheduler.dirty('a', 1500);
    expect(scheduler.next(2200)).toEqual({ waitMs: 1300 });
    expect(scheduler.next(3500)).toMatchObject({ due: { why: 'watch' } });
    for (let at = 4000; at < 60_000; at += 500) scheduler.dirty('a', at);
    expect(scheduler.next(30_099)).toEqual({ waitMs: 1 });
    expect(scheduler.next(30_100)).toMatchObject({ due: { why: 'watch' } });
  });

  it('what changes during a capture is captured again', () => {
    const scheduler = settled(root('a'));
    scheduler.dirty('a', 0);
    scheduler.started('a');
    scheduler.dirty('a', 50);
    scheduler.succeeded('a', 100);
    expect(scheduler.next(2050)).toMatchObject({ due: { why: 'watch' } });
  });

  it('rescans without any event', () => {
    const scheduler = settled(root('a', { rescanMs: 1000 }));
    expect(scheduler.next(10)).toEqual({ waitMs: 990 });
    expect(scheduler.next(1000)).toMatchObject({ due: { why: 'rescan' } });
  });

  it('tries a root that failed later each time, while the others go on', () => {
    const scheduler = settled(root('a'), root('b'));
    for (const wait of [5000, 10_000, 20_000]) {
      scheduler.dirty('a', 0);
      scheduler.started('a');
      scheduler.failed('a', 0);
      expect(scheduler.next(0)).toEqual({ waitMs: wait });
    }
    scheduler.dirty('b', 0);
    expect(scheduler.next(2000)).toMatchObject({ due: { root: { name: 'b' } } });
    scheduler.succeeded('a', 0);
    scheduler.started('b');
    scheduler.succeeded('b', 0);
    expect(scheduler.next(0)).toEqual({ waitMs: 1000_000 });
  });

  it('forgets roots that are gone and takes new ones', () => {
    const scheduler = settled(root('a'));
    scheduler.setRoots([root('b')], 10);
    scheduler.dirty('a', 10);
    expect(scheduler.next(10)).toMatchObject({ due: { root: { name: 'b' } } });
    scheduler.setRoots([], 20);
    expect(scheduler.next(20)).toEqual({ waitMs: undefined });
  });
});
