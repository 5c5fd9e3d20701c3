/** Up to which record each target has everything: what `--wait` and `status` tell. A fact that is lost with the index is learned again by the next pass. */
import type { KeyValue, TargetId } from '../core/ports/index.ts';
import { compareHeads } from '../log/check-chain.ts';
import type { Head } from '../log/record-body.ts';

export function rememberAck(kv: KeyValue, target: TargetId, head: Head | undefined): void {
  if (head === undefined) return;
  kv.set(`acknowledged.${target}`, `${head.incarnation}/${head.seq}/${head.hash}`);
}

/** The newest record of this agent that the target has together with all it reaches; undefined when it has none. */
export function acknowledgedHead(kv: KeyValue, target: TargetId): Head | undefined {
  const match = /^(\d+)\/(\d+)\/([0-9a-f]{64})$/.exec(kv.get(`acknowledged.${target}`) ?? '');
  return match === null ? undefined : { incarnation: Number(match[1]), seq: Number(match[2]), hash: match[3]! };
}

export function hasAcknowledged(kv: KeyValue, target: TargetId, place: Pick<Head, 'incarnation' | 'seq'>): boolean {
  const head = acknowledgedHead(kv, target);
  return head !== undefined && compareHeads(head, place) >= 0;
}
