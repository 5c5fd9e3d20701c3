-- The index is a cache of packs and chains. See docs/formats/index.md.
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

-- Chains that are followed here, and branches: ends of them that are not on the trail any more (docs/chain.md 9.2). Position: the last entry applied.
-- `parent`: of a branch, the chain that has its entries up to `base_seq`. `is_own`: this agent writes it.
CREATE TABLE chains (
  chain INTEGER PRIMARY KEY,
  agent BLOB NOT NULL,
  parent INTEGER,
  base_seq INTEGER NOT NULL DEFAULT 0,
  is_own INTEGER NOT NULL DEFAULT 0,
  incarnation INTEGER NOT NULL DEFAULT 0,
  seq INTEGER NOT NULL DEFAULT 0,
  link BLOB
) STRICT;
CREATE UNIQUE INDEX chains_followed ON chains (agent) WHERE parent IS NULL;

-- Every entry here: what it is and where it lies. `file_incarnation` and `file`: the first entry of its chain file; `offset` and `item_end`: where the item begins and ends. `body_at`: offset of the body, in
-- the chain file, or in the file of late bodies beside it (`is_late`); NULL while the body is not here. `waits`: a hold entry that is not applied yet.
CREATE TABLE entries (
  chain INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  link BLOB NOT NULL,
  file_incarnation INTEGER NOT NULL,
  file INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  item_end INTEGER NOT NULL,
  body_bytes INTEGER NOT NULL,
  body_at INTEGER,
  is_late INTEGER NOT NULL DEFAULT 0,
  waits INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (chain, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_waiting ON entries (chain, shard, seq) WHERE waits = 1;
CREATE INDEX entries_takeovers ON entries (chain, seq) WHERE kind = 7;

-- Ranges of a chain that could not be read here, until they are mended.
CREATE TABLE chain_damage (
  chain INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  message TEXT NOT NULL,
  noted_ns INTEGER NOT NULL,
  PRIMARY KEY (chain, first_seq)
) STRICT, WITHOUT ROWID;

-- Shards of a chain with counts that are kept, since counting millions of holds takes long.
CREATE TABLE shards (
  shard_ref INTEGER PRIMARY KEY,
  chain INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  held INTEGER NOT NULL DEFAULT 0,
  wanted INTEGER NOT NULL DEFAULT 0,
  lost INTEGER NOT NULL DEFAULT 0,
  unreadable INTEGER NOT NULL DEFAULT 0,
  UNIQUE (chain, shard)
) STRICT;

-- One row a listed form: by its entry and its position in the entry's body, where the id is read. The first row of an id (lowest seq, position) has its
-- state: 0 satisfied, 1 wanted, 2 lost, 3 unreadable; the other rows have 0.
CREATE TABLE holds (
  key48 INTEGER NOT NULL,
  shard_ref INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  position INTEGER NOT NULL,
  state INTEGER NOT NULL,
  PRIMARY KEY (key48, shard_ref, seq, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_unsatisfied ON holds (shard_ref, seq) WHERE state <> 0;

-- Snapshots with their opened bodies, so that listing needs neither chain nor key. What is looked up often has columns of its own. `id`: the link of the
-- snapshot's entry; `chain` changes when the entry becomes part of a branch. `is_damaged`: a record of the owner says that it is not whole for ever.
CREATE TABLE snapshots (
  id BLOB PRIMARY KEY,
  chain INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  root TEXT NOT NULL,
  time_ns INTEGER NOT NULL,
  is_unfinished INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX snapshots_in_order ON snapshots (chain, incarnation, seq);
CREATE INDEX snapshots_of_root ON snapshots (chain, root, incarnation, seq);

-- Kept apart from `snapshots`, because a record about a snapshot may be known before the snapshot is. `chain`: where the record is.
CREATE TABLE pins (
  snapshot BLOB NOT NULL,
  chain INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (snapshot, chain)
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten (
  snapshot BLOB NOT NULL,
  chain INTEGER NOT NULL,
  PRIMARY KEY (snapshot, chain)
) STRICT, WITHOUT ROWID;

-- Snapshots that a record says are damaged for ever, whatever chain or branch they are in.
CREATE TABLE damaged_snapshots (
  snapshot BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- The newest settings of each chain, with the seq of their record.
CREATE TABLE settings (
  chain INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;

-- The stat cache: one opaque value a folder, with the loss epoch that it was written under.
CREATE TABLE folders (
  folder INTEGER PRIMARY KEY,
  root TEXT NOT NULL,
  path BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  value BLOB NOT NULL,
  UNIQUE (root, path)
) STRICT;
