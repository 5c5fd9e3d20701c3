/** The newest answer of each target (docs/chain.md 4.2). Values are opaque here: one JSON text, with bytes as base64. */
import type { TargetId } from '../core/ports/index.ts';
import type { Belief, BeliefIndex } from '../ports/beliefs.ts';
import type { Db } from './database.ts';

export function beliefIndex(db: Db): BeliefIndex {
  const get = db.prepare<[string], Buffer>('SELECT value FROM beliefs WHERE target = ?').pluck();
  const set = db.prepare('INSERT OR REPLACE INTO beliefs (target, value) VALUES (?, ?)');
  const remove = db.prepare<[string]>('DELETE FROM beliefs WHERE target = ?');
  return {
    get: (target) => {
      const value = get.get(target);
      return value === undefined ? undefined : decode(value);
    },
    set: (target: TargetId, belief: Belief) => void set.run(target, encode(belief)),
    delete: (target) => void remove.run(target),
  };
}

function encode(belief: Belief): Buffer {
  const plain =
    belief.kind === 'bucket'
      ? { ...belief, askedNs: String(belief.askedNs) }
      : {
          ...belief,
          askedNs: String(belief.askedNs),
          statement: base64(belief.statement),
          lists: belief.lists.map(base64),
        };
  return Buffer.from(JSON.stringify(plain));
}

function decode(value: Buffer): Belief {
  const plain = JSON.parse(value.toString()) as { kind: string; askedNs: string; statement: string; lists: string[] };
  const askedNs = BigInt(plain.askedNs);
  if (plain.kind === 'bucket') return { position: undefined, ...plain, askedNs } as unknown as Belief;
  return { ...plain, askedNs, statement: bytes(plain.statement), lists: plain.lists.map(bytes) } as unknown as Belief;
}

function base64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
