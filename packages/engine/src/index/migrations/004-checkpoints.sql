-- Hold checkpoints (docs/chain.md 1.7 and 8): finding them, what was found of them here, and shards whose rows come from parts.
CREATE INDEX entries_checkpoints ON entries (chain, shard, seq) WHERE kind = 5;

-- Of each shard the newest checkpoint that was looked at. `state`: 1 proved (parts made here are equal), 2 false (they are not), 3 taken (bodies are not
-- here, so nothing proves it), 4 not made (parts and index of this owner differ). `seq`: of its entry; of state 4 its as-of seq.
CREATE TABLE checked_checkpoints (
  chain INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  state INTEGER NOT NULL,
  message TEXT NOT NULL,
  noted_ns INTEGER NOT NULL,
  PRIMARY KEY (chain, shard)
) STRICT, WITHOUT ROWID;

-- Rows of `holds` with an added seq up to `base_seq` lie in the parts as of it: `position` is 2^24 times the first byte of the id, plus the row in that
-- part. 0: every row lies in a body. A shard with a number below 0 has the rows of parts that
-- are being joined, and is not the state of a shard yet.
ALTER TABLE shards ADD COLUMN base_seq INTEGER NOT NULL DEFAULT 0;

-- Ids that were held and satisfied here, and that a taken checkpoint lacks: they are kept until a release names them, or a checkpoint is proved.
CREATE TABLE disputed (
  key48 INTEGER NOT NULL,
  chain INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  id BLOB NOT NULL,
  -- 1: a checkpoint was proved that lacks it. It is not kept any more, and its frame is noted as released with the next collection.
  is_ended INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (key48, chain, shard, id)
) STRICT, WITHOUT ROWID;
