/** One run of the program: its streams, how it shows things, what it was warned of, and what interrupts it. */

import type { Progress, Warning } from '@edgestore/engine';
import { EdgeError, toEdgeError } from '@edgestore/engine/errors';
import type { ProgressMode } from '../global-flags.ts';
import { type Colours, chooseColours } from '../output/colour.ts';
import { createProgressDisplay, type ProgressDisplay } from '../output/progress-display.ts';
import { type OutputStream, openOutputStream } from '../output/streams.ts';
import { keepNurserySmall } from './small-nursery.ts';

export interface ShowOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly noColor: boolean;
  readonly progress: ProgressMode;
}

/** The message of the abort that `| head` causes; it is the end of a listing, and no failure. */
export const READER_LEFT = 'the reader of stdout left';

export class Session {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: OutputStream = openOutputStream(process.stdout);
  readonly stderr: OutputStream = openOutputStream(process.stderr);
  readonly warnings: Warning[] = [];
  /** As in the schema name of the JSON document; known once the command is found. */
  command = '';
  show: ShowOptions;
  readonly #abort = new AbortController();
  #display: ProgressDisplay | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(env: NodeJS.ProcessEnv, json: boolean) {
    this.env = env;
    this.show = { json, quiet: false, verbose: false, noColor: false, progress: 'auto' };
  }

  /** Aborted by Ctrl-C, SIGTERM and `--timeout`, with the `EdgeError` to end with as its reason. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Ctrl-C and SIGTERM end the work in hand first; the second time they end the process. */
  watchSignals(): void {
    const watch = (signal: NodeJS.Signals, code: 'E_INTERRUPTED' | 'E_TERMINATED', exit: number): void => {
      let seen = 0;
      process.on(signal, () => {
        if (++seen > 1) process.exit(exit);
        this.note('interrupted: finishing the piece in hand; once more to leave at once');
        this.#abort.abort(
          new EdgeError(code, 'interrupted', { hint: 'Run the command again; it goes on where it stopped.' }),
        );
      });
    };
    watch('SIGINT', 'E_INTERRUPTED', 130);
    watch('SIGTERM', 'E_TERMINATED', 143);
  }

  stopAfter(ms: number, asTyped: string): void {
    const error = new EdgeError('E_TIMEOUT', `not done within ${asTyped}`, {
      hint: 'Run the command again; it goes on where it stopped.',
    });
    this.#timer = setTimeout(() => this.#abort.abort(error), ms);
    this.#timer.unref();
  }

  /** The reader of stdout has gone: a listing has no use any more. */
  stopWhenReaderLeaves(): void {
    this.stdout.onClosed(() => this.#abort.abort(this.outputError() ?? new EdgeError('E_INTERRUPTED', READER_LEFT)));
  }

  /** When the result did not all arrive on stdout: `cat … >file` on a full disk must not end as if the file were whole. */
  outputError(): EdgeError | undefined {
    const { failure } = this.stdout;
    return failure === undefined ? undefined : toEdgeError(failure, 'writing the output');
  }

  coloursOf(stream: 'stdout' | 'stderr'): Colours {
    return chooseColours({ isTerminal: this[stream].isTerminal, env: this.env, forbidden: this.show.noColor });
  }

  report = (progress: Progress): void => {
    // Also work that opens no vault may be long, such as a recovery.
    keepNurserySmall();
    this.#display ??= createProgressDisplay({
      mode: this.show.progress,
      quiet: this.show.quiet,
      stream: this.stderr,
      colours: this.coloursOf('stderr'),
      dumb: this.env.TERM === 'dumb',
      nowMs: () => performance.now(),
    });
    this.#display.report(progress);
  };

  endProgress(summary: Readonly<Record<string, unknown>>): void {
    if (this.#display === undefined && this.show.progress === 'json') this.report({ phase: 'done' });
    this.#display?.end(summary);
  }

  /** A warning goes to stderr at once, and into the JSON document. The same one is said once. */
  warn = (warning: Warning): void => {
    if (this.warnings.some((w) => w.code === warning.code && w.message === warning.message)) return;
    this.warnings.push(warning);
    if (!this.show.quiet) this.#line(`${this.coloursOf('stderr').yellow('warning:')} ${warning.message}`);
  };

  /** Something to know about the run that is neither result nor warning. */
  note(text: string): void {
    if (!this.show.quiet) this.#line(text);
  }

  error(text: string): void {
    this.#line(text);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#display?.clear();
    await Promise.all([this.stdout.flushed(), this.stderr.flushed()]);
  }

  #line(text: string): void {
    this.#display?.clear();
    void this.stderr.write(`${text}\n`);
  }
}
