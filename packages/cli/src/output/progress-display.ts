/** Shows live figures on stderr: a bar, a plain line every half minute, or NDJSON. */
import type { Progress } from '@edgestore/engine';
import { formatBytes } from '@edgestore/engine/units';
import type { ProgressMode } from '../global-flags.ts';
import type { Colours } from './colour.ts';
import { formatCount } from './numbers.ts';
import type { OutputStream } from './streams.ts';

export interface ProgressDisplay {
  report(progress: Progress): void;
  /** Takes the bar away, so that another line can be written; it comes back with the next report. */
  clear(): void;
  /** The last line: with `json`, the summary. */
  end(summary: Readonly<Record<string, unknown>>): void;
}

export interface ProgressDisplayInput {
  readonly mode: ProgressMode;
  readonly quiet: boolean;
  readonly stream: OutputStream;
  readonly colours: Colours;
  readonly dumb: boolean;
  /** Milliseconds that never go back. */
  readonly nowMs: () => number;
}

const BAR_EVERY_MS = 100;
const PLAIN_EVERY_MS = 30_000;
const JSON_EVERY_MS = 1000;
const RATE_AFTER_MS = 1000;

export function createProgressDisplay(input: ProgressDisplayInput): ProgressDisplay {
  const mode = input.mode === 'auto' ? (input.stream.isTerminal && !input.dumb ? 'bar' : 'plain') : input.mode;
  if (mode === 'json') return new Thinned(input, JSON_EVERY_MS, new JsonLines(input.stream));
  if (input.quiet) return { report() {}, clear() {}, end() {} };
  return mode === 'bar'
    ? new Thinned(input, BAR_EVERY_MS, new Bar(input))
    : new Thinned(input, PLAIN_EVERY_MS, new PlainLines(input.stream), PLAIN_EVERY_MS);
}

interface Lines {
  show(progress: Progress, rate: Rate): void;
  clear(): void;
  end(summary: Readonly<Record<string, unknown>>): void;
}

interface Rate {
  readonly elapsedMs: number;
  /** Over the phase; undefined while too little was seen of it. */
  readonly bytesPerS: number | undefined;
}

/** Drops reports that come faster than they are shown. */
class Thinned implements ProgressDisplay {
  readonly #nowMs: () => number;
  readonly #everyMs: number;
  readonly #lines: Lines;
  readonly #startMs: number;
  #nextMs: number;
  /** Where the phase was when it was first reported. */
  #phase = { name: '', startMs: 0, bytes: 0 };

  constructor(input: ProgressDisplayInput, everyMs: number, lines: Lines, firstAfterMs = 0) {
    this.#nowMs = input.nowMs;
    this.#everyMs = everyMs;
    this.#lines = lines;
    this.#startMs = input.nowMs();
    this.#nextMs = this.#startMs + firstAfterMs;
  }

  report(progress: Progress): void {
    const now = this.#nowMs();
    // Also of what is not shown: the phase began then.
    const bytesPerS = this.#rateOf(progress, now);
    if (now < this.#nextMs) return;
    this.#nextMs = now + this.#everyMs;
    this.#lines.show(progress, { elapsedMs: now - this.#startMs, bytesPerS });
  }

  clear(): void {
    this.#lines.clear();
  }

  #rateOf({ phase, bytesDone }: Progress, now: number): number | undefined {
    if (bytesDone === undefined) return undefined;
    // What is sent again after a failure begins anew.
    if (this.#phase.name !== phase || bytesDone < this.#phase.bytes)
      this.#phase = { name: phase, startMs: now, bytes: bytesDone };
    const ms = now - this.#phase.startMs;
    return ms < RATE_AFTER_MS ? undefined : Math.round(((bytesDone - this.#phase.bytes) * 1000) / ms);
  }

  end(summary: Readonly<Record<string, unknown>>): void {
    this.#lines.end({ elapsed_s: Math.round(this.#nowMs() - this.#startMs) / 1000, ...summary });
  }
}

class JsonLines implements Lines {
  readonly #stream: OutputStream;

  constructor(stream: OutputStream) {
    this.#stream = stream;
  }

  show(progress: Progress, { elapsedMs, bytesPerS }: Rate): void {
    const { phase, filesDone, filesTotal, bytesDone, bytesTotal, detail } = progress;
    const line = {
      type: 'progress',
      phase,
      elapsed_s: Math.round(elapsedMs) / 1000,
      files_done: filesDone,
      files_total: filesTotal,
      bytes_done: bytesDone,
      bytes_total: bytesTotal,
      bytes_per_s: bytesPerS,
      detail,
    };
    void this.#stream.write(`${JSON.stringify(line)}\n`);
  }

  clear(): void {}

  end(summary: Readonly<Record<string, unknown>>): void {
    void this.#stream.write(`${JSON.stringify({ type: 'summary', ...summary })}\n`);
  }
}

class PlainLines implements Lines {
  readonly #stream: OutputStream;

  constructor(stream: OutputStream) {
    this.#stream = stream;
  }

  show(progress: Progress, { elapsedMs, bytesPerS }: Rate): void {
    void this.#stream.write(`${Math.round(elapsedMs / 1000)} s: ${describe(progress, bytesPerS)}\n`);
  }

  clear(): void {}

  end(): void {}
}

class Bar implements Lines {
  readonly #stream: OutputStream;
  readonly #colours: Colours;
  #shown = false;

  constructor({ stream, colours }: ProgressDisplayInput) {
    this.#stream = stream;
    this.#colours = colours;
  }

  show(progress: Progress, { bytesPerS }: Rate): void {
    const done = fraction(progress);
    const width = this.#stream.columns - 1;
    const gauge =
      done === undefined || width < 50 ? '' : `${gaugeOf(done, 20)} ${String(Math.floor(done * 100)).padStart(3)}%  `;
    const text = cut(describe(progress, bytesPerS), width - gauge.length);
    this.#shown = true;
    void this.#stream.write(`\r\x1b[K${this.#colours.dim(gauge)}${text}`);
  }

  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    void this.#stream.write('\r\x1b[K');
  }

  end(): void {
    this.clear();
  }
}

function describe(
  { phase, filesDone, filesTotal, bytesDone, bytesTotal, detail }: Progress,
  bytesPerS: number | undefined,
): string {
  const parts = [phase];
  if (filesDone !== undefined)
    parts.push(`${formatCount(filesDone)}${filesTotal === undefined ? '' : ` of ${formatCount(filesTotal)}`} files`);
  if (bytesDone !== undefined)
    parts.push(`${formatBytes(bytesDone)}${bytesTotal === undefined ? '' : ` of ${formatBytes(bytesTotal)}`}`);
  if (bytesPerS !== undefined && bytesPerS > 0) parts.push(`${formatBytes(bytesPerS)}/s`);
  if (detail !== undefined) parts.push(detail);
  return parts.join('  ');
}

function fraction({ filesDone, filesTotal, bytesDone, bytesTotal }: Progress): number | undefined {
  if (bytesTotal !== undefined && bytesTotal > 0 && bytesDone !== undefined) return Math.min(1, bytesDone / bytesTotal);
  if (filesTotal !== undefined && filesTotal > 0 && filesDone !== undefined) return Math.min(1, filesDone / filesTotal);
  return undefined;
}

function gaugeOf(done: number, width: number): string {
  const full = Math.round(done * width);
  return `[${'='.repeat(full)}${' '.repeat(width - full)}]`;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
