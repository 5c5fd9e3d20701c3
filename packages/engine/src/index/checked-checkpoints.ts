/** What was found of hold checkpoints here. See docs/formats/index.md. */
import type { CheckedCheckpoint, CheckedCheckpoints, CheckpointVerdict } from '../ports/chain-index.ts';
import type { Db } from './database.ts';

const CODES: Readonly<Record<CheckpointVerdict, number>> = { proved: 1, false: 2, taken: 3, unmade: 4 };
const VERDICTS: readonly (CheckpointVerdict | undefined)[] = [undefined, 'proved', 'false', 'taken', 'unmade'];
/** A message names paths: it is cut, as elsewhere in the index. */
const MESSAGE_LENGTH_MAX = 500;

interface Raw {
  readonly chain: number;
  readonly shard: number;
  readonly seq: number;
  readonly state: number;
  readonly message: string;
  readonly noted_ns: string;
}

export function checkedCheckpoints(db: Db): CheckedCheckpoints {
  const columns = 'chain, shard, seq, state, message, CAST(noted_ns AS TEXT) AS noted_ns';
  const one = db.prepare<[number, number], Raw>(
    `SELECT ${columns} FROM checked_checkpoints WHERE chain = ? AND shard = ?`,
  );
  const all = db.prepare<[], Raw>(`SELECT ${columns} FROM checked_checkpoints ORDER BY chain, shard`);
  const put = db.prepare(
    'INSERT OR REPLACE INTO checked_checkpoints (chain, shard, seq, state, message, noted_ns) VALUES (?, ?, ?, ?, ?, ?)',
  );
  return {
    get: (chain, shard) => {
      const raw = one.get(chain, shard);
      return raw === undefined ? undefined : toChecked(raw);
    },
    set: ({ chain, shard, seq, verdict, message, notedNs }) =>
      void put.run(chain, shard, seq, CODES[verdict], message.slice(0, MESSAGE_LENGTH_MAX), notedNs),
    all: () => all.all().map(toChecked),
  };
}

function toChecked({ noted_ns, state, ...raw }: Raw): CheckedCheckpoint {
  return { ...raw, verdict: VERDICTS[state]!, notedNs: BigInt(noted_ns) };
}
