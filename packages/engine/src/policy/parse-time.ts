import { EdgeError } from '../core/errors.ts';
import { parseDuration } from './units.ts';

const PATTERN =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d{2}:\d{2})?)?$/i;

/**
 * Nanoseconds since 1970 of an RFC 3339 time (`2026-11-20T22:00:00Z`), a shorter one (`2026-11-20`, `2026-11-20 22:00`; UTC when it names no zone,
 * as all output is) or an age (`2d` or `2d ago`: so long before `nowNs`). E_USAGE for anything else, dates that do not exist included.
 */
export function parseTime(text: string, nowNs: bigint): bigint {
  const trimmed = text.trim();
  const age = /^(.*\d[a-z]+)(?:\s+ago)?$/.exec(trimmed);
  if (age !== null && !trimmed.includes('-')) return nowNs - parseDuration(age[1]!);
  const match = PATTERN.exec(trimmed);
  if (match === null) throw wrong(text);
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = match;
  const ms = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  const date = new Date(ms);
  // Date.UTC rolls 31 April over to 1 May, and takes years below 100 for those of the last century.
  const exists =
    date.getUTCMonth() === Number(month) - 1 &&
    date.getUTCDate() === Number(day) &&
    date.getUTCFullYear() === Number(year);
  if (!exists || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) throw wrong(text);
  const nanos = BigInt(fraction.padEnd(9, '0'));
  return BigInt(ms - zoneMs(zone, text)) * 1_000_000n + nanos;
}

function zoneMs(zone: string, text: string): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4, 6))];
  if (hours > 23 || minutes > 59) throw wrong(text);
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

function wrong(text: string): EdgeError {
  return new EdgeError('E_USAGE', `${JSON.stringify(text.slice(0, 80))} is not a time`, {
    hint: 'Write a time like 2026-11-20T22:00:00Z or 2026-11-20, or an age like 2d.',
  });
}
