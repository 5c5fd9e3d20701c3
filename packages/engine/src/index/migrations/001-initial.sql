-- The index is a cache of packs, logs and hold logs. See docs/formats/index.md.
-- `key48` is the first 48 bits of a 32-byte id as a number: an index over it is a third of the size of one over ids, and a number of that size
-- needs no BigInt in JavaScript. It only finds candidates; the id itself is always compared.

-- Small facts: the vault that this index is of, the loss epoch, how far a rebuild is, and what flows keep.
CREATE TABLE key_value (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every pack in a store of this agent. `store` is '' for the own disk; a pack of the same chunks has the same name in two stores. The frames of a pack have row numbers from `first_frame` on.
-- `created_ns`: when the youngest of its chunks was first stored. `verified_ns`: when all of it was last read and found good.
CREATE TABLE packs (
  pack INTEGER PRIMARY KEY,
  name BLOB NOT NULL,
  store TEXT NOT NULL,
  class INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  frames INTEGER NOT NULL,
  first_frame INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  verified_ns INTEGER,
  UNIQUE (name, store)
) STRICT;

-- One row for each copy of a chunk. Rows of one pack lie together, so that adding a pack touches few pages of this table.
-- `flags`: 1 identified (opened, or sealed, here and found to be what its id says).
-- `state`: 0 good, 1 damaged (its hash says so), 2 absent (not there now), 3 unreadable (an error now). Only good copies count.
CREATE TABLE frames (
  frame INTEGER PRIMARY KEY,
  key48 INTEGER NOT NULL,
  id BLOB NOT NULL,
  pack INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  sealed_bytes INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  flags INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX frames_by_key ON frames (key48);

-- Why and since when a single copy is marked; few rows, so kept out of `frames`. The file `marks` has the same, and outlives the index.
CREATE TABLE copy_marks (
  frame INTEGER PRIMARY KEY,
  pack INTEGER NOT NULL,
  state INTEGER NOT NULL,
  why TEXT NOT NULL,
  since_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX copy_marks_by_pack ON copy_marks (pack);

-- Packs that are not there, or cannot be read, as a whole. By name: of a pack that was never read there is no other row. 0 frames: nobody knows how many.
CREATE TABLE pack_marks (
  name BLOB NOT NULL,
  store TEXT NOT NULL,
  state INTEGER NOT NULL,
  why TEXT NOT NULL,
  frames INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  since_ns INTEGER NOT NULL,
  PRIMARY KEY (name, store)
) STRICT, WITHOUT ROWID;

-- Pack files on the own disk that the index no longer names but which may still be there: a crash between commit and unlink.
CREATE TABLE doomed_packs (
  name BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Last read of a chunk by a user's single read: what tiering calls an access.
CREATE TABLE chunk_reads (
  id BLOB PRIMARY KEY,
  read_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every record known, of every agent: finds forks and says how far each log was applied.
CREATE TABLE records (
  agent BLOB NOT NULL,
  incarnation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (agent, incarnation, seq)
) STRICT, WITHOUT ROWID;

-- Snapshots with their opened bodies, so that listing needs neither log nor key.
CREATE TABLE snapshots (
  id BLOB PRIMARY KEY,
  agent BLOB NOT NULL,
  incarnation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  root TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX snapshots_in_order ON snapshots (agent, incarnation, seq);

-- Kept apart from `snapshots`, because a pin or forget may be known before its snapshot is.
CREATE TABLE pins (
  agent BLOB NOT NULL,
  snapshot BLOB NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (agent, snapshot)
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten (
  agent BLOB NOT NULL,
  snapshot BLOB NOT NULL,
  PRIMARY KEY (agent, snapshot)
) STRICT, WITHOUT ROWID;

-- The base of each takeover: records of older incarnations beyond it are a branch.
CREATE TABLE takeovers (
  agent BLOB NOT NULL,
  incarnation INTEGER NOT NULL,
  base_incarnation INTEGER NOT NULL,
  base_seq INTEGER NOT NULL,
  PRIMARY KEY (agent, incarnation)
) STRICT, WITHOUT ROWID;

-- The newest settings of each agent.
CREATE TABLE settings (
  agent BLOB PRIMARY KEY,
  body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The stat cache: one opaque value a folder, with the loss epoch that it was written under.
CREATE TABLE folders (
  folder INTEGER PRIMARY KEY,
  root TEXT NOT NULL,
  path BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  value BLOB NOT NULL,
  UNIQUE (root, path)
) STRICT;

-- Replication targets by number, so that a placement row is short. `placed` is kept up to date: counting a million rows takes long.
CREATE TABLE targets (
  target INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  placed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Which targets gave a receipt for a chunk. No row means not placed.
CREATE TABLE placements (
  id BLOB NOT NULL,
  target INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  verified_ns INTEGER,
  PRIMARY KEY (id, target)
) STRICT, WITHOUT ROWID;

-- Copies that are owed. A row is never given up, only tried later.
CREATE TABLE queue (
  item INTEGER PRIMARY KEY,
  target TEXT NOT NULL,
  snapshot BLOB NOT NULL,
  seq INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_try_ns INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  UNIQUE (target, snapshot)
) STRICT;

-- Agents that have holds here: the newest head that their batches showed, and how many bytes of their hold log are applied.
CREATE TABLE owners (
  owner INTEGER PRIMARY KEY,
  agent BLOB NOT NULL UNIQUE,
  incarnation INTEGER NOT NULL DEFAULT 0,
  last_op INTEGER NOT NULL DEFAULT 0,
  head_seq INTEGER NOT NULL DEFAULT 0,
  head_hash BLOB,
  held INTEGER NOT NULL DEFAULT 0,
  log_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Which owner holds which chunk here, with the hash of the sealed bytes that the owner signed.
CREATE TABLE holds (
  hold INTEGER PRIMARY KEY,
  key48 INTEGER NOT NULL,
  id BLOB NOT NULL,
  owner INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  sealed_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX holds_by_key ON holds (key48);

-- Batches applied, so that the same one sent again is known from another one under its number.
CREATE TABLE hold_batches (
  owner INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  op INTEGER NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (owner, incarnation, op)
) STRICT, WITHOUT ROWID;
