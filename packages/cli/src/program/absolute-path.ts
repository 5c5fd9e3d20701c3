/** A path of the command line as an absolute one: the agent that may run the command has another working folder. */
import { resolve } from 'node:path';

export function absolutePath(typed: string): string {
  return resolve(typed);
}
