-- What this agent noted of the targets that it replicates to, and of frames that nobody holds any more. All of it is asked or begun again after a loss.

-- The newest answer of each target, as a whole: a later one replaces it. See ports/beliefs.ts.
CREATE TABLE beliefs (
  target TEXT PRIMARY KEY,
  asked_seq INTEGER NOT NULL,
  asked_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,
  -- A peer's signed statement with its lists; a bucket's position, store id and location.
  answer BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Work that is owed to a target: one row, however much it lacks.
CREATE TABLE owed (
  target TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  since_ns INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_try_ns INTEGER NOT NULL DEFAULT 0,
  last_error TEXT
) STRICT, WITHOUT ROWID;

-- Frames of the own disk that lost their last hold, with the clock of their grace: running time and collections since then.
CREATE TABLE released (
  id BLOB PRIMARY KEY,
  owner BLOB NOT NULL,
  sealed_bytes INTEGER NOT NULL,
  running_ns INTEGER NOT NULL,
  passes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX released_by_owner ON released (owner, running_ns);
