/** stdout and stderr with a reader that may leave at any moment, and texts that may hold anything. */
import type { Writable } from 'node:stream';

export interface OutputStream {
  readonly isTerminal: boolean;
  /** Columns of the terminal, at least 20; 80 when it is none. */
  readonly columns: number;
  /** Resolves when the stream takes more. Once the reader is gone, nothing is written and nothing fails. */
  write(text: string | Uint8Array): Promise<void>;
  /** True once the reader has gone (EPIPE). */
  readonly closed: boolean;
  /** Why something that was written did not arrive, when that was not the reader leaving: a full disk below a redirection. */
  readonly failure: Error | undefined;
  /** Called once when the reader goes. */
  onClosed(listener: () => void): void;
  /** Resolves when everything written so far has left the process. */
  flushed(): Promise<void>;
}

export function openOutputStream(stream: Writable & { isTTY?: boolean; columns?: number }): OutputStream {
  return new Stream(stream);
}

class Stream implements OutputStream {
  readonly #stream: Writable & { isTTY?: boolean; columns?: number };
  readonly #listeners: (() => void)[] = [];
  closed = false;
  failure: Error | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(stream: Writable & { isTTY?: boolean; columns?: number }) {
    this.#stream = stream;
    stream.on('error', (error) => this.#close(error));
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  get columns(): number {
    return Math.max(20, this.isTerminal ? (this.#stream.columns ?? 80) : 80);
  }

  write(text: string | Uint8Array): Promise<void> {
    if (this.closed || text.length === 0) return Promise.resolve();
    const written = new Promise<void>((resolve) => {
      this.#stream.write(text, (error) => {
        if (error) this.#close(error);
        resolve();
      });
    });
    this.#last = written;
    // The callback of a pipe comes only when the reader took it: waiting for each would make a listing crawl.
    return this.#stream.writableNeedDrain ? written : Promise.resolve();
  }

  onClosed(listener: () => void): void {
    if (this.closed) listener();
    else this.#listeners.push(listener);
  }

  flushed(): Promise<void> {
    return this.#last;
  }

  #close(error: Error): void {
    if (this.closed) return;
    this.closed = true;
    // EPIPE is `| head` doing its work. Anything else is a result that its reader would take for whole.
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') this.failure = error;
    for (const listener of this.#listeners) listener();
  }
}
