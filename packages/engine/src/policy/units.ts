/** Sizes, rates and durations as people write them: always with a unit, so that nobody has to guess what a bare number means. */
import { EdgeError } from '../core/errors.ts';

const SI = ['', 'k', 'M', 'G', 'T', 'P'];
const SIZE_UNITS = new Map<string, number>([['B', 1]]);
const BIT_UNITS = new Map<string, number>([['bit', 1 / 8]]);
for (let power = 1; power < SI.length; power++) {
  const letter = SI[power]!;
  for (const form of power === 1 ? ['k', 'K'] : [letter]) SIZE_UNITS.set(`${form}B`, 1000 ** power);
  for (const form of power === 1 ? ['K', 'k'] : [letter]) SIZE_UNITS.set(`${form}iB`, 1024 ** power);
  for (const form of power === 1 ? ['k', 'K'] : [letter]) {
    BIT_UNITS.set(`${form}bit`, 1000 ** power / 8);
    BIT_UNITS.set(`${form}ibit`, 1024 ** power / 8);
  }
}
const DURATION_MS = new Map<string, number>([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
]);

/** Bytes of `10MiB`, `10MB`, `512B`, `1.5GiB`. E_USAGE for anything else, a bare number included. */
export function parseSize(text: string): number {
  return Math.round(amount(text, SIZE_UNITS, 'a size', '10MiB or 10MB'));
}

/** Bytes per second of `50Mbit/s`, `10MB/s`, `10MiB/s`. E_USAGE for anything else. */
export function parseRate(text: string): number {
  const per = /^(.*)\/s$/s.exec(text.trim());
  const units = new Map([...SIZE_UNITS, ...BIT_UNITS]);
  if (per === null) throw wrong(text, 'a rate', '50Mbit/s or 10MB/s');
  const rate = amount(per[1]!, units, 'a rate', '50Mbit/s or 10MB/s', text);
  if (rate < 1) throw wrong(text, 'a rate', '50Mbit/s or 10MB/s');
  return rate;
}

/** Milliseconds of `90s`, `15m`, `6h`, `30d`, `12w`, `250ms`, `1h30m`. E_USAGE for anything else. */
export function parseDurationMs(text: string): number {
  const pieces = text.trim().match(/\d+(?:\.\d+)?[a-z]+/g);
  if (pieces === null || pieces.join('') !== text.trim()) throw wrong(text, 'a duration', '90s, 15m, 6h or 30d');
  const ms = pieces.reduce(
    (sum, piece) => sum + amount(piece, DURATION_MS, 'a duration', '90s, 15m, 6h or 30d', text),
    0,
  );
  return Math.round(ms);
}

/** The same in nanoseconds, for ages. */
export function parseDuration(text: string): bigint {
  return BigInt(parseDurationMs(text)) * 1_000_000n;
}

/** The fraction of `5%` or `0.1%`: 0 to 1. E_USAGE for anything else. */
export function parsePercent(text: string): number {
  const match = /^(\d+(?:\.\d+)?)%$/.exec(text.trim());
  const percent = match === null ? Number.NaN : Number(match[1]);
  if (!(percent >= 0 && percent <= 100)) throw wrong(text, 'a percentage', '5%');
  return percent / 100;
}

/** `512 B`, `1.5 MiB`: three digits at most, binary units. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let power = 0;
  while (Math.abs(value) >= 999.5 && power < SI.length - 1) {
    value /= 1024;
    power++;
  }
  if (power === 0) return `${Math.round(value)} B`;
  return `${threeDigits(value)} ${['', 'K', 'M', 'G', 'T', 'P'][power]}iB`;
}

/** `85 ms`, `1.2 s`, `3m20s`, `2h5m`, `3d4h`: the two largest units. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${threeDigits(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return hours > 0 ? `${days}d${hours}h` : `${days}d`;
  if (hours > 0) return minutes > 0 ? `${hours}h${minutes}m` : `${hours}h`;
  return seconds % 60 > 0 ? `${minutes}m${seconds % 60}s` : `${minutes}m`;
}

/** `50 MB/s` as binary units per second. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

function threeDigits(value: number): string {
  return value < 9.95 ? value.toFixed(1) : Math.round(value).toString();
}

function amount(text: string, units: ReadonlyMap<string, number>, what: string, example: string, whole = text): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  const unit = match === null ? undefined : units.get(match[2]!);
  const value = unit === undefined ? Number.NaN : Number(match![1]) * unit;
  if (!Number.isFinite(value) || value > Number.MAX_SAFE_INTEGER) throw wrong(whole, what, example);
  return value;
}

function wrong(text: string, what: string, example: string): EdgeError {
  const isBare = /^\s*\d+(\.\d+)?\s*$/.test(text);
  const problem = isBare ? `${text.trim()} has no unit` : `${JSON.stringify(text.slice(0, 80))} is not ${what}`;
  return new EdgeError('E_USAGE', problem, { hint: `Write ${what} like ${example}.` });
}
