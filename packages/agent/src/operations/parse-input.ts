/** The input of an operation, from a command line or over the socket, checked before anything is opened. */
import { EdgeError } from '@edgestore/engine';
import type { z } from 'zod';

/** E_USAGE with every problem. */
export function parseInput<Input>(schema: z.ZodType<Input>, input: unknown): Input {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) =>
      `${issue.path.length === 0 || issue.message.startsWith('--') ? '' : `${issue.path.join('.')}: `}${issue.message}`,
  );
  throw new EdgeError('E_USAGE', problems.join('; '));
}
