/** The units of the configuration, on top of the engine's parsers: what a key says, with the message that a user sees when it is wrong. */
import { parseDuration, parseDurationMs, parseRate, parseSize } from '@edgestore/engine';
import { z } from 'zod';
import type { MaxDelete } from './config.ts';

/** Bytes, from `10MiB` or `10MB`. */
export const sizeInBytes = unit('size', '10MiB', parseSize);
/** Bytes a second, from `50Mbit/s` or `5MiB/s`. */
export const rateInBytes = unit('rate', '50Mbit/s', parseRate);
/** Nanoseconds, from `30d`. */
export const ageInNs = unit('age', '30d', parseDuration);
/** Milliseconds, from `90s`. */
export const durationInMs = unit('duration', '90s', parseDurationMs);

/** `100` files, or `"50%"` of the last snapshot's. */
export const maxDelete = z
  .union(
    [z.int().min(0), z.string().regex(/^\d{1,3}(\.\d+)?%$/, 'is a number of files or a percentage such as "50%"')],
    {
      error: 'is a number of files or a percentage such as "50%"',
    },
  )
  .transform((value, context): MaxDelete => {
    if (typeof value === 'number') return { files: value };
    const percent = Number.parseFloat(value);
    if (percent > 100) context.addIssue({ code: 'custom', message: 'is more than 100 %' });
    return { percent };
  });

function unit<T>(what: string, example: string, parse: (text: string) => T) {
  return z
    .string({
      error: (issue) =>
        typeof issue.input === 'number' || typeof issue.input === 'bigint'
          ? `a bare number is not a ${what}; write a unit, such as "${example}"`
          : `is a ${what} such as "${example}"`,
    })
    .transform((text, context): T => {
      try {
        return parse(text);
      } catch (error) {
        context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
        return z.NEVER;
      }
    });
}
