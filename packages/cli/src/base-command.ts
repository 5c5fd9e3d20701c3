/** What every command is: flags read, an operation run, its result shown as text or as one JSON document, an exit code. */

import type { OperationOutcome } from '@edgestore/agent/operations/operation';
import type { EdgeError } from '@edgestore/engine/errors';
import type { Interfaces } from '@oclif/core';
import { parse } from '@oclif/core/parser';
import { runOperation } from './client/run-operation.ts';
import { globalFlags } from './global-flags.ts';
import type { Colours } from './output/colour.ts';
import { plainJson, resultDocument } from './output/envelope.ts';
import { refuseEmpty } from './program/refuse-empty.ts';
import { READER_LEFT, type Session } from './program/session.ts';

export interface TextContext {
  readonly colours: Colours;
  readonly columns: number;
  readonly verbose: boolean;
}

/** How a result is turned into text. Every line it returns is printed with a line end. */
export interface Rendering<Data, Item = never> {
  readonly text: (data: Data, context: TextContext) => readonly string[];
  /** Listings: one item as it comes. */
  readonly item?: (item: Item, context: TextContext) => string | Uint8Array;
  /** Listings: under which key of `data` the JSON document has the items. */
  readonly itemsKey?: string;
  /** What to say on stderr beside the result, such as what `latest` was. */
  readonly notes?: (data: Data) => readonly string[];
  /** The text only says that all went well: left out with `-q` when it did. */
  readonly onlyReports?: boolean;
}

export interface Performance<Data, Item> extends Rendering<Data, Item> {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly ndjson?: boolean;
}

type ParsedFlags<C extends typeof EdgestoreCommand> = Interfaces.InferredFlags<C['flags'] & typeof globalFlags>;

/** Has what oclif's manifest and help read of a command. Its own class is no base: that would load its whole configuration at every start. */
export abstract class EdgestoreCommand {
  static summary: string;
  static description: string | undefined;
  static examples: readonly string[] | undefined;
  static args: Interfaces.ArgInput = {};
  static flags: Interfaces.FlagInput = {};
  static baseFlags = globalFlags;
  /** False where any number of arguments may come. */
  static strict = true;
  readonly #argv: string[];
  protected session!: Session;
  protected globals!: Interfaces.InferredFlags<typeof globalFlags>;

  /** How long after `--timeout` the command is ended from outside, when its operation minds the time itself. */
  protected readonly timeoutGraceMs: number = 0;

  constructor(argv: readonly string[]) {
    this.#argv = [...argv];
  }

  /** What oclif knows a command by. */
  static run(): never {
    throw new Error('commands are run by program/main.ts');
  }

  /** Runs the command; the exit code. */
  async runIn(session: Session): Promise<number> {
    this.session = session;
    return await this.run();
  }

  protected abstract run(): Promise<number>;

  /** Parses the command line and applies the global flags. */
  protected async read<C extends typeof EdgestoreCommand>(
    command: C,
  ): Promise<{ args: Interfaces.InferredArgs<C['args']>; flags: ParsedFlags<C>; argv: string[] }> {
    const { args, flags, argv } = await parse(this.#argv, {
      args: command.args,
      flags: { ...command.baseFlags, ...command.flags },
      strict: command.strict,
      context: this,
    } as never);
    this.globals = flags as Interfaces.InferredFlags<typeof globalFlags>;
    const { json, quiet, verbose, progress, timeout } = this.globals;
    refuseEmpty(flags, argv);
    const ndjson = (flags as { ndjson?: boolean }).ndjson === true;
    this.session.show = {
      json: json || ndjson,
      quiet,
      verbose,
      noColor: this.globals['no-color'],
      progress,
    };
    if (timeout !== undefined) {
      const { parseDurationMs } = await import('@edgestore/engine/units');
      this.session.stopAfter(parseDurationMs(timeout) + this.timeoutGraceMs, timeout);
    }
    return { args, flags, argv } as never;
  }

  /** Runs the operation where it has to run, prints what comes of it, and returns the exit code. */
  protected async perform<Data, Item = never>(performance: Performance<Data, Item>): Promise<number> {
    const { session } = this;
    const items: unknown[] = [];
    if (performance.item !== undefined) session.stopWhenReaderLeaves();
    const emit = async (item: unknown): Promise<void> => {
      if (performance.ndjson === true) await session.stdout.write(`${JSON.stringify(item, plainJson)}\n`);
      else if (session.show.json) items.push(item);
      else if (performance.item !== undefined)
        await session.stdout.write(performance.item(item as Item, this.textContext()));
    };
    const outcome = (await runOperation(performance.operation, performance.input, {
      session,
      globals: this.globals,
      emit,
    })) as OperationOutcome<Data>;
    const data =
      performance.itemsKey !== undefined && session.show.json
        ? { ...outcome.data, [performance.itemsKey]: items }
        : outcome.data;
    return await this.print(data as Data, performance, outcome.exitCode ?? 0, performance.ndjson === true);
  }

  /** Prints a result that is at hand; for what needs no opened data dir. */
  protected async print<Data>(
    data: Data,
    rendering: Rendering<Data, never>,
    exitCode = 0,
    itemsWerePrinted = false,
  ): Promise<number> {
    const { session } = this;
    const exit = exitOf(session.signal, exitCode);
    session.endProgress({ exit });
    if (!session.show.json) for (const note of rendering.notes?.(data) ?? []) session.note(note);
    if (itemsWerePrinted) return exit;
    if (session.show.json) {
      await session.stdout.write(resultDocument(session.command, data, session.warnings));
      return exit;
    }
    if (rendering.onlyReports === true && session.show.quiet && exit === 0) return exit;
    for (const line of rendering.text(data, this.textContext())) await session.stdout.write(`${line}\n`);
    return exit;
  }

  protected textContext(): TextContext {
    const { session } = this;
    return { colours: session.coloursOf('stdout'), columns: session.stdout.columns, verbose: session.show.verbose };
  }
}

/**
 * An interrupted run ends with 130 or 143 even when it had a result to print. One whose time was over says by its own exit code what that
 * meant.
 */
function exitOf(signal: AbortSignal, exitCode: number): number {
  const { code, message, exitCode: interrupted } = (signal.aborted ? signal.reason : {}) as Partial<EdgeError>;
  // The reader may leave after the last piece was handed over, when nothing is left to stop.
  if (message === READER_LEFT) return exitCode;
  return code === 'E_INTERRUPTED' || code === 'E_TERMINATED' ? (interrupted ?? exitCode) : exitCode;
}
