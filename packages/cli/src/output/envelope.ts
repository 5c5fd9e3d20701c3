/** The two JSON documents that `--json` prints: a result, or an error. */
import type { Warning } from '@edgestore/engine';
import type { EdgeError } from '@edgestore/engine/errors';

export function resultDocument(command: string, data: unknown, warnings: readonly Warning[]): string {
  return `${JSON.stringify({ schema: `edgestore.v1.${command}`, data, warnings }, plainJson)}\n`;
}

export function errorDocument(error: EdgeError, exit: number, warnings: readonly Warning[]): string {
  const { code, message, hint, context } = error;
  return `${JSON.stringify(
    {
      schema: 'edgestore.v1.error',
      error: { code, message, exit, ...(hint === undefined ? {} : { hint }), details: context },
      warnings,
    },
    plainJson,
  )}\n`;
}

/** Integers beyond 2^53 as their digits: nothing here is that large but times in nanoseconds, which are printed as RFC 3339. */
export function plainJson(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
