/** The command line from the first argument to the exit code. */
import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { VERSION } from '@edgestore/agent/program';
import type { EdgestoreCommand } from '../base-command.ts';
import { describeError } from '../output/describe-error.ts';
import { errorDocument } from '../output/envelope.ts';
import { findCommand } from './find-command.ts';
import { recoverArguments } from './raw-arguments.ts';
import { refuseSecrets } from './refuse-secrets.ts';
import { READER_LEFT, Session } from './session.ts';
import { usageError } from './usage-error.ts';

/** Runs the command and ends the process with its exit code. `root` is the folder of the package, where `dist` is. */
export async function main(decoded: readonly string[], root: string): Promise<void> {
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
    exit = await dispatch(argv, root, session);
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

async function dispatch(argv: readonly string[], root: string, session: Session): Promise<number> {
  const commands = join(root, 'dist', 'commands');
  const found = findCommand(argv, commandIds(commands));
  if (found.kind === 'version') {
    const { node } = process.versions;
    await session.stdout.write(`edgestore ${VERSION} (node ${node}, ${process.platform}-${process.arch})\n`);
    return 0;
  }
  if (found.kind === 'help') {
    const { showHelp } = await import('./show-help.ts');
    await showHelp(root, found.id);
    return 0;
  }
  session.command = found.id.replaceAll(':', '.');
  refuseSecrets(found.argv);
  session.watchSignals();
  const file = join(commands, `${found.id.replaceAll(':', sep)}.js`);
  const { default: Command } = (await import(pathToFileURL(file).href)) as {
    default: new (argv: readonly string[]) => EdgestoreCommand;
  };
  return await new Command(found.argv).runIn(session);
}

/** Every command as `topic:verb`: each has a file of its own, and nothing else lies in that folder. */
function commandIds(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => name.slice(0, -'.js'.length).replaceAll(sep, ':'));
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
