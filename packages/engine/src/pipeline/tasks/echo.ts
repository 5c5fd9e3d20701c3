/** Answers with what it was given: shows that a worker lives, and lets tests fail, kill or hang one. */
import { EdgeError } from '../../core/errors.ts';
import type { Task } from '../task.ts';

export interface EchoTask {
  readonly input: {
    readonly text: string;
    readonly bytes?: Uint8Array<ArrayBuffer>;
    readonly ending?: 'fail' | 'die';
    /** Shared memory: it says in the first word that it was reached, and hangs until the second one changes. */
    readonly hang?: Int32Array;
  };
  readonly output: { readonly text: string; readonly bytes?: Uint8Array<ArrayBuffer> };
}

export const task: Task<EchoTask['input'], EchoTask['output']> = (input) => {
  if (input.ending === 'fail') {
    throw new EdgeError('E_LIMIT', input.text, { hint: 'This is a test.', context: { text: input.text } });
  }
  if (input.ending === 'die') process.exit(3);
  if (input.hang !== undefined) {
    Atomics.store(input.hang, 0, 1);
    Atomics.notify(input.hang, 0);
    Atomics.wait(input.hang, 1, 0);
  }
  if (input.bytes === undefined) return { output: { text: input.text } };
  return { output: { text: input.text, bytes: input.bytes }, transfer: [input.bytes.buffer] };
};
