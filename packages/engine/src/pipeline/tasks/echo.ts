/** Answers with what it was given: shows that a worker lives, and lets tests fail or kill one. */
import { EdgeError } from '../../core/errors.ts';
import type { Task } from '../task.ts';

export interface EchoTask {
  readonly input: { readonly text: string; readonly bytes?: Uint8Array<ArrayBuffer>; readonly ending?: 'fail' | 'die' };
  readonly output: { readonly text: string; readonly bytes?: Uint8Array<ArrayBuffer> };
}

export const task: Task<EchoTask['input'], EchoTask['output']> = (input) => {
  if (input.ending === 'fail') {
    throw new EdgeError('E_LIMIT', input.text, { hint: 'This is a test.', context: { text: input.text } });
  }
  if (input.ending === 'die') process.exit(3);
  if (input.bytes === undefined) return { output: { text: input.text } };
  return { output: { text: input.text, bytes: input.bytes }, transfer: [input.bytes.buffer] };
};
