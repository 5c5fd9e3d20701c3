/** The command line from the first argument to the exit code. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Config } from '@oclif/core/config';
import type { EdgestoreCommand } from '../base-command.ts';
import { describeError } from '../output/describe-error.ts';
import { errorDocument } from '../output/envelope.ts';
import { findCommand } from './find-command.ts';
import { recoverArguments } from './raw-arguments.ts';
import { refuseSecrets } from './refuse-secrets.ts';
import { READER_LEFT, Session } from './session.ts';
import { usageError } from './usage-error.ts';

/** Runs the command and ends the process with its exit code. */
export async function main(decoded: readonly string[]): Promise<void> {
  const argv = recoverArguments(decoded);
  const end = argv.indexOf('--');
  const options = argv.slice(0, end === -1 ? argv.length : end);
  const session = new Session(process.env, options.includes('--json') || options.includes('--ndjson'));
  session.show = { ...session.show, noColor: options.includes('--no-color') };
  const fail = (error: unknown): number => reportFailure(error, session, options);
  process.on('uncaughtException', (error) => {
    const exit = fail(error);
    void session.close().finally(() => process.exit(exit));
  });
  let exit: number;
  try {
    exit = await dispatch(argv, session);
  } catch (error) {
    exit = fail(error);
  }
  await session.close();
  const unwritten = session.outputError();
  if (unwritten !== undefined && exit === 0) {
    exit = fail(unwritten);
    await session.close();
  }
  process.exit(exit);
}

async function dispatch(argv: readonly string[], session: Session): Promise<number> {
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  const config = await Config.load({ root });
  const found = findCommand(argv, config.commandIDs);
  if (found.kind === 'version') {
    await session.stdout.write(
      `edgestore ${config.version} (node ${process.versions.node}, ${config.platform}-${config.arch})\n`,
    );
    return 0;
  }
  if (found.kind === 'help') {
    const { Help } = await import('@oclif/core/help');
    await new Help(config, { all: false }).showHelp(found.id === undefined ? [] : [found.id]);
    return 0;
  }
  session.command = found.id.replaceAll(':', '.');
  refuseSecrets(found.argv);
  session.watchSignals();
  const Command = (await config.findCommand(found.id, { must: true }).load()) as unknown as new (
    argv: string[],
    config: Config,
  ) => EdgestoreCommand;
  return await new Command([...found.argv], config).runIn(session);
}

function reportFailure(thrown: unknown, session: Session, options: readonly string[]): number {
  // What was thrown because of an interruption is the interruption, whatever it looks like by now.
  const error = usageError(
    session.signal.aborted ? session.signal.reason : thrown,
    session.command === '' ? undefined : session.command.replaceAll('.', ' '),
  );
  if (error.message === READER_LEFT) return 0;
  // What stdout did not take is told on stderr, also with --json.
  if (session.show.json && session.outputError() === undefined)
    void session.stdout.write(errorDocument(error, error.exitCode, session.warnings));
  else
    session.error(
      describeError(
        error,
        session.coloursOf('stderr'),
        session.show.verbose || options.includes('-v') || options.includes('--verbose'),
      ),
    );
  return error.exitCode;
}
