/** Asks before something that cannot be taken back. */
import { createInterface } from 'node:readline/promises';
import { EdgeError } from '@edgestore/engine/errors';
import type { Session } from './session.ts';

/** Returns when the answer is yes. E_USAGE when nobody can be asked, or the answer is no. */
export async function confirm(
  session: Session,
  flags: { readonly yes: boolean; readonly 'no-input': boolean },
  question: string,
): Promise<void> {
  if (flags.yes) return;
  if (flags['no-input'] || !process.stdin.isTTY || !session.stderr.isTerminal) {
    throw new EdgeError('E_USAGE', `this needs a yes: ${question}`, { hint: 'Give it with --yes.' });
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: session.signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw new EdgeError('E_USAGE', 'not confirmed; nothing was done');
  } finally {
    lines.close();
  }
}
