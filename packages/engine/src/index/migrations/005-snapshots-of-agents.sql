-- A chain says nothing of what another agent recorded: rows are of an id and an agent. Else whoever names the id of another's snapshot in a chain of its
-- own first would have it. A row whose id is the link of an entry of its chain goes before one that only a checkpoint names.
CREATE TABLE snapshots_of_agents (
  id BLOB NOT NULL,
  agent BLOB NOT NULL,
  chain INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  root TEXT NOT NULL,
  time_ns INTEGER NOT NULL,
  is_unfinished INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (id, agent)
) STRICT;
INSERT INTO snapshots_of_agents
  SELECT s.id, c.agent, s.chain, s.incarnation, s.seq, s.shard, s.root, s.time_ns, s.is_unfinished, s.body
  FROM snapshots s JOIN chains c USING (chain);

CREATE TABLE damaged_of_agents (
  snapshot BLOB NOT NULL,
  agent BLOB NOT NULL,
  PRIMARY KEY (snapshot, agent)
) STRICT, WITHOUT ROWID;
INSERT INTO damaged_of_agents
  SELECT d.snapshot, s.agent FROM damaged_snapshots d JOIN snapshots_of_agents s ON s.id = d.snapshot;

DROP TABLE damaged_snapshots;
DROP TABLE snapshots;
ALTER TABLE snapshots_of_agents RENAME TO snapshots;
ALTER TABLE damaged_of_agents RENAME TO damaged_snapshots;
CREATE INDEX snapshots_in_order ON snapshots (chain, incarnation, seq);
CREATE INDEX snapshots_of_root ON snapshots (chain, root, incarnation, seq);
