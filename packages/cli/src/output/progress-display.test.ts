import { expect, test } from 'vitest';
import type { ProgressMode } from '../global-flags.ts';
import { chooseColours } from './colour.ts';
import { createProgressDisplay } from './progress-display.ts';
import type { OutputStream } from './streams.ts';

function displayed(
  mode: ProgressMode,
  options: { terminal?: boolean; quiet?: boolean; dumb?: boolean; columns?: number } = {},
) {
  const written: string[] = [];
  const stream: OutputStream = {
    isTerminal: options.terminal ?? false,
    columns: options.columns ?? 80,
    closed: false,
    failure: undefined,
    write: async (text) => void written.push(String(text)),
    onClosed: () => {},
    flushed: async () => {},
  };
  let nowMs = 0;
  const display = createProgressDisplay({
    mode,
    quiet: options.quiet ?? false,
    stream,
    colours: chooseColours({ isTerminal: false, env: {}, forbidden: true }),
    dumb: options.dumb ?? false,
    nowMs: () => nowMs,
  });
  /** Reports four times a second for so long. */
  const run = (seconds: number): void => {
    for (const end = nowMs + seconds * 1000; nowMs < end; nowMs += 250)
      display.report({ phase: 'read', filesDone: nowMs, filesTotal: 60_000 });
  };
  const at = (ms: number): void => {
    nowMs = ms;
  };
  return { display, run, written, at };
}

test('json: at most one line a second, the last is the summary', () => {
  const { display, run, written } = displayed('json');
  run(10);
  display.end({ exit: 0 });
  expect(written).toHaveLength(11);
  expect(JSON.parse(written[3]!)).toMatchObject({
    type: 'progress',
    phase: 'read',
    files_done: 3000,
    files_total: 60_000,
    elapsed_s: 3,
  });
  expect(JSON.parse(written.at(-1)!)).toEqual({ type: 'summary', elapsed_s: 10, exit: 0 });
});

test('plain: a line every 30 s, none for what is short', () => {
  const { run, written } = displayed('auto');
  run(29);
  expect(written).toEqual([]);
  run(61);
  expect(written).toEqual(['30 s: read  30,000 of 60,000 files\n', '60 s: read  60,000 of 60,000 files\n']);
});

test('a bar only on a terminal that is not dumb, as wide as it, gone at the end', () => {
  const { display, run, written } = displayed('auto', { terminal: true, columns: 60 });
  run(2);
  expect(written.at(-1)).toMatch(/^\r.*\[=? +\].*%.*read/);
  expect(Math.max(...written.map((line) => line.length))).toBeLessThan(70);
  display.end({});
  expect(written.at(-1)).toBe('\r\x1b[K');
  const dumb = displayed('auto', { terminal: true, dumb: true });
  dumb.run(5);
  expect(dumb.written).toEqual([]);
});

test('quiet shows nothing, but json that was asked for', () => {
  const quiet = displayed('bar', { quiet: true, terminal: true });
  quiet.run(5);
  quiet.display.end({});
  expect(quiet.written).toEqual([]);
  const json = displayed('json', { quiet: true });
  json.run(1);
  expect(json.written).toHaveLength(1);
});

test('bytes: done of all, and their rate since the phase began', () => {
  const { display, written, at } = displayed('json');
  const MIB = 1024 * 1024;
  for (let s = 0; s <= 3; s++) {
    at(s * 1000);
    display.report({ phase: 'replicate', bytesDone: s * 2 * MIB, bytesTotal: 8 * MIB });
  }
  expect(JSON.parse(written[3]!)).toMatchObject({ bytes_done: 6 * MIB, bytes_total: 8 * MIB, bytes_per_s: 2 * MIB });
  const plain = displayed('plain');
  for (const s of [0, 30, 60]) {
    plain.at(s * 1000);
    plain.display.report({ phase: 'replicate', bytesDone: s * MIB, bytesTotal: 60 * MIB, detail: 'dc-a: sending' });
  }
  expect(plain.written.at(-1)).toBe('60 s: replicate  60 MiB of 60 MiB  1.0 MiB/s  dc-a: sending\n');
});
