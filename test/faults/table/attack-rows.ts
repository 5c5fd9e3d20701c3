/**
 * What the second round of attacks on the finished program found: members, sources and administrators that nobody had
 * thought of.
 */
import { type FaultRow, row } from './row.ts';

const TO_PEER = 'engine:replicate/replicate-to-peer';

export const ATTACK_ROWS: readonly FaultRow[] = [
  row(
    'X1',
    'a member whose chain names snapshots of another agent, in a record checkpoint or as damaged',
    'records of another chain, before and behind the snapshot',
    'a chain says nothing of what another agent recorded: its snapshots stay its own, whole and restorable, also after a rebuild of the index',
    [
      [
        'engine:index/log-index',
        'a chain that names a snapshot of another agent, before or behind it, takes nothing from it and damages nothing',
      ],
    ],
  ),
  row(
    'X2',
    'a member that adds chunk ids which share their first bytes',
    'adds of one key, by the dozen',
    'bounded work for each form; index, checkpoints and reference agree on what is held',
    [
      [
        'engine:chain/hold-state',
        'ids that begin with the same six bytes are held up to sixteen forms; a release makes room',
        'the state is what the page says: the first form, then distinct full ones, up to four, and sixteen of one key',
      ],
      [
        'engine:chain/checkpoint-parts',
        'the hold state of all entries is that of checkpoint parts and the entries after them',
      ],
      [
        'engine:store/chains/chain-store',
        'random chains: the index holds what the reference function says, live, after a restart, and after a rebuild',
      ],
    ],
  ),
  row(
    'X3',
    'a recovery from sources that have nothing of the chain',
    'segments deleted in the bucket; a holder without the chain file',
    'no takeover from nothing, which would make a branch of the whole history: exit 2, with what to ask',
    [['engine:recover/recover', 'refuses to take over an edge from a source that has nothing of its chain']],
  ),
  row(
    'X4',
    'the stored key of a data dir is gone or damaged, and nothing of it is anywhere else',
    'the file deleted; a character added',
    'the recovery sheet opens the data dir and stores a new key; the error says so',
    [
      [
        'cli/init-and-keys',
        'with the stored key gone or damaged the recovery sheet opens the data dir, and stores a new key',
      ],
    ],
  ),
  row(
    'X5',
    'a holder without the key that answers a proof with other bytes, or leaves shards out of its statement',
    'a link that lies',
    'it has to show the chunk, which is opened here; a shard that is not stated is empty',
    [
      [
        TO_PEER,
        'one that answers a proof with other bytes has to show what it has, as a holder without the key does',
        'one that leaves shards out of its statement is not up to date',
      ],
    ],
  ),
  row(
    'X7',
    'a bucket that has the only copies goes, or its name leaves the configuration',
    'the folder deleted or moved, the configuration emptied',
    'its copies do not count for what is captured now; of a name that is gone they are marked, and what files still have is stored again',
    [
      [
        'faults/dead-bucket',
        'its name leaves the configuration: what files still have is stored again, and restores',
        'it is unplugged: a new file with the bytes of an old one is stored again',
      ],
    ],
  ),
  row(
    'X8',
    'a clock that was ahead by years while a target could not be reached',
    'a clock of the test',
    'with the right clock the target is due at once',
    [['engine:replicate/replicator', 'a try that a clock ahead by years put off is due with the right one']],
  ),
  row(
    'X9',
    'a member that fills the disk of a machine that is no holder; an owner with more roots than a statement names',
    'a member that sends what it owns; 1,025 shards',
    'who is no holder takes nothing; the 1,025th root of a life is refused, and a question about more shards costs nothing',
    [
      ['agent:agent', 'an edge keeps nothing for others: a member could fill its disk'],
      [
        'engine:hold/holder',
        'of an owner with more shards than a statement names nothing is stated, and no list is made for it',
      ],
      ['engine:log/record-encoding', 'roots keep their shards, and a number is never given twice'],
    ],
  ),
  row(
    'X6',
    'a tree page in two packs of a bucket, of which one is damaged',
    'changed bytes in the bucket',
    'a recovery reads it from the other one',
    [['engine:recover/recover', 'reads a tree from the other pack that has it, where one is damaged']],
  ),
  row(
    'X20',
    'chain segments, the descriptor, slots or cards of a bucket are gone or changed',
    'objects deleted in the bucket; one byte changed',
    'a scrub tells what is missing (20) and the bucket counts for nothing; a repair or a sync puts it again, and a recovery from it is whole',
    [
      [
        'faults/bucket-files-gone',
        'one or all segments, the descriptor, slots or cards gone or changed in a bucket: 20, no copy, then put again by a repair',
      ],
    ],
  ),
  row(
    'X21',
    'a chunk that was given up, at a holder that had lost its copy',
    'packs damaged, cut short or deleted at owner and holder',
    'no finding at either when the release is there: nothing wants the chunk any more',
    [
      [
        'faults/give-up-at-holder',
        'after a giving up, a holder that had lost its copy has no finding: damaged or gone, at the holder and the owner',
      ],
    ],
  ),
  row(
    'X22',
    'the chain of an owner is gone at a holder',
    'chain folder deleted, several starts',
    'a finding with its time until the chain is as far again; a repair brings it from whoever has it',
    [
      [
        'faults/holder-chain-gone',
        'a holder whose copy of a chain is gone says so until it has it again, and a repair brings it from the owner',
      ],
    ],
  ),
];
