-- What this agent noted of buckets that it writes to. See docs/formats/index.md. All of it is compared with listings, so losing it costs requests only.

-- Buckets that this agent writes to, by target (`store:<name>`, `store-meta:<name>`). Adds of the own chain up to `compared_seq` were compared with the
-- frames that the bucket has.
CREATE TABLE bucket_targets (
  target TEXT PRIMARY KEY,
  compared_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Forms of the own chain's adds that a bucket lacks: bit n of `lacks` is the form at position n of the entry. No row: the bucket has all of them.
CREATE TABLE bucket_lacks (
  target TEXT NOT NULL,
  seq INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  lacks BLOB NOT NULL,
  PRIMARY KEY (target, seq)
) STRICT, WITHOUT ROWID;

-- Segments of the own chain that were verified in a bucket. A listing is compared with them, so that a segment that is gone is put again.
CREATE TABLE bucket_segments (
  target TEXT NOT NULL,
  incarnation INTEGER NOT NULL,
  last INTEGER NOT NULL,
  first INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (target, incarnation, last, first, sha256)
) STRICT, WITHOUT ROWID;
