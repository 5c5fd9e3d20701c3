/** Asks on the terminal for a line that is not shown. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Session } from './session.ts';

export async function promptHidden(session: Session, question: string): Promise<string> {
  await session.stderr.write(question);
  // readline echoes what is typed to its output; this one swallows it.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  // In raw mode Ctrl-C is a key, not a signal.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    return await lines.question('', { signal: session.signal });
  } finally {
    lines.close();
    await session.stderr.write('\n');
  }
}
