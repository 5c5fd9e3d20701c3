/** A store that runs twice: a start id that comes back after another one was seen proves that two machines answer under one name (docs/chain.md 4.2). */
import type { Statement } from '../chain/statement.ts';
import type { HexId } from '../core/ids.ts';
import type { KeyValue, TargetId } from '../core/ports/index.ts';

/** Start ids remembered of a target: enough to meet a second machine, few enough to keep. */
const STARTS_MAX = 8;

const startsKey = (target: TargetId): string => `starts.${target}`;
const cloneKey = (target: TargetId): string => `clone.${target}`;

export function noteStart(target: TargetId, { storeId, startId }: Statement, kv: KeyValue): void {
  const start = `${storeId}/${startId}`;
  const known = (kv.get(startsKey(target)) ?? '').split(' ').filter((one) => one !== '');
  if (known[0] === start) return;
  if (known.includes(start)) kv.set(cloneKey(target), storeId);
  kv.set(startsKey(target), [start, ...known.filter((one) => one !== start)].slice(0, STARTS_MAX).join(' '));
}

/** The store id of which two machines were met behind the target; undefined for none. */
export function clonedStore(target: TargetId, kv: KeyValue): HexId | undefined {
  return kv.get(cloneKey(target));
}
