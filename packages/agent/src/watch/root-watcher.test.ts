import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { escapeName } from '@edgestore/engine';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkRoots } from '../operations/doctor-checks/roots.ts';
import { type RootWatcher, type WatchProblem, watchRoot } from './root-watcher.ts';

let folder: string;
let watcher: RootWatcher | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgestore-watch-'));
});
afterEach(async () => {
  await watcher?.close();
  rmSync(folder, { recursive: true, force: true });
});

function below(name: string | Buffer): Buffer {
  const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]);
  mkdirSync(path);
  return path;
}

async function watched(path: Uint8Array): Promise<{ events: () => number; problems: WatchProblem[] }> {
  const problems: WatchProblem[] = [];
  let events = 0;
  watcher = await watchRoot({
    path: escapeName(path),
    leaveOut: [],
    isIgnored: () => false,
    onEvent: () => void events++,
    onProblem: (problem) => void problems.push(problem),
  });
  await watcher.ready;
  return { events: () => events, problems };
}

const doctorSays = async (path: Uint8Array) => {
  const root = { name: 'r', path: escapeName(path), watch: true } as never;
  return (await checkRoots([root], new AbortController().signal))[0];
};

test.each(['plain', 'new\nline', 'ünïcode'])('a root named %j is watched', async (name) => {
  const path = below(name);
  const { events, problems } = await watched(path);
  writeFileSync(Buffer.concat([path, Buffer.from('/new')]), 'x');
  await expect.poll(events, { timeout: 5000 }).toBeGreaterThan(0);
  expect(problems).toEqual([]);
  expect(await doctorSays(path)).toMatchObject({ result: 'ok' });
});

test.each([Buffer.from([0x61, 0xff, 0xfe]), Buffer.from('a\\b')])(
  'of a root whose name the library cannot take it is said that only rescans find its changes',
  async (name) => {
    const path = below(name);
    const { problems } = await watched(path);
    const message = expect.stringMatching(/a\\x(ff\\xfe|5cb) cannot be watched.*rescan/);
    expect(problems).toEqual([{ code: 'W_WATCH_NAME', message }]);
    expect(watcher!.problem()?.code).toBe('W_WATCH_NAME');
    expect(await doctorSays(path)).toMatchObject({
      result: 'warning',
      message,
      hint: expect.stringContaining('rescan'),
    });
  },
);
