// Replaced by the engine's policy parsers as soon as they are there.
const SIZE: Record<string, number> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};
const TIME: Record<string, bigint> = {
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
  w: 604_800_000_000_000n,
  y: 31_536_000_000_000_000n,
};

export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  const unit = match === null ? undefined : SIZE[match[2]!];
  if (match === null || unit === undefined) throw new Error(`is not a size such as "10MiB": ${JSON.stringify(text)}`);
  return Math.round(Number(match[1]) * unit);
}

export function parseRate(text: string): number {
  const bits = /^(\d+(?:\.\d+)?)\s*([kMG]?)bit\/s$/.exec(text.trim());
  if (bits !== null) return (Number(bits[1]) * { '': 1, k: 1e3, M: 1e6, G: 1e9 }[bits[2]!]!) / 8;
  if (!text.endsWith('/s')) throw new Error(`is not a rate such as "50Mbit/s": ${JSON.stringify(text)}`);
  return parseSize(text.slice(0, -2));
}

export function parseDuration(text: string): bigint {
  let total = 0n;
  const rest = text.trim().replace(/(\d+)(ms|s|m|h|d|w|y)/g, (_, value: string, unit: string) => {
    total += BigInt(value) * TIME[unit]!;
    return '';
  });
  if (rest !== '' || text.trim() === '') throw new Error(`is not a duration such as "90s": ${JSON.stringify(text)}`);
  return total;
}
