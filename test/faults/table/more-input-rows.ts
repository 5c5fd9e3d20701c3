/** More bad inputs: those that other rows test by the way, and those that this version does not meet. */
import { type FaultRow, row } from './row.ts';

const HOSTILE = 'scenarios/hostile-tree';
const HOSTILE_NAME = 'comes back identical after its folder is gone';
const CAPTURE = 'engine:capture/capture';
const FAULTS = 'engine:capture/capture-faults';
const DAMAGE = 'bad-input/damage';
const HAND_MADE = 'trees made by hand to leave the target are refused, and nothing is made outside';
const AS_USER = 'who is not root gets the content, one warning, and no setuid bits';

export const MORE_INPUT_ROWS: readonly FaultRow[] = [
  row('B2', 'a zero byte in a name', 'crafted pages', 'refused', [
    ['engine:tree/tree', 'arbitrary and mutated bytes give a value or an E_FORMAT'],
    ['engine:restore/restore-damage', HAND_MADE],
  ]),
  row('B3', 'names of 255 bytes', 'a tree of them', 'kept', [[HOSTILE, HOSTILE_NAME]]),
  row(
    'B5',
    'names that differ only by case or composition',
    'a tree of them',
    'all are kept',
    [[HOSTILE, HOSTILE_NAME]],
    'not tested: a target that folds case; no such file system is made here',
  ),
  row(
    'B7',
    'targets of links that are not UTF-8',
    'a tree of them',
    'bytes are kept',
    [[HOSTILE, HOSTILE_NAME]],
    'not tested: a target of 4,095 bytes',
  ),
  row('B10', 'files of no byte, of one, and around every boundary', 'files of them', 'exact', [
    [CAPTURE, 'sizes around every boundary, a large file, duplicates and a sparse file keep their bytes'],
    [HOSTILE, HOSTILE_NAME],
  ]),
  row('B11', 'empty folders; modes 000, sticky, setgid', 'a tree of them', 'kept', [[HOSTILE, HOSTILE_NAME]]),
  row('B16', 'a file that becomes a folder or a link before it is opened', 'a writer beside', 'never followed', [
    [
      FAULTS,
      'a file that becomes a symlink is never followed',
      'a folder that is swapped for another after it was listed is not entered',
    ],
  ]),
  row('B18', 'a source that gives EIO', 'a fake of the system call', 'exit 3, the other files come', [
    [FAULTS, 'files that say they are empty are read up to a bound, and reading errors are reported'],
  ]),
  row(
    'B20',
    'very many files',
    'folders of them',
    'read in parts, bounded memory',
    [
      [CAPTURE, 'many files in one folder'],
      ['engine:capture/folder-parts', 'a folder in parts is captured, remembered, and changed part by part'],
    ],
    'not tested: ten million; figures in docs/performance.md',
  ),
  row(
    'B21',
    'more folders than inotify takes; a queue that overflows; renames in a storm',
    '',
    'a rescan, no change is lost',
    [],
    'the limit is of the whole machine; events only mark a root dirty, and every capture compares all of it',
  ),
  row('B23', 'an inode that is used again with the same size and time', 'files of them', 'read again', [
    [
      CAPTURE,
      'sees a change that left size and modification time as they were',
      'reads again what changed just before the last capture began',
    ],
  ]),
  row('B25', 'owners that do not exist here; not root', 'another user', 'content, one warning', [
    ['engine:restore/restore-as-user', AS_USER],
  ]),
  row('B26', 'setuid files', 'another user', 'the bits go', [['engine:restore/restore-as-user', AS_USER]]),
  row('B27', 'a file at the target that nobody may change', 'chattr +i', 'named, the rest goes on, exit 3', [
    ['bad-input/limits', 'a file at the target that nobody may change is named: 3, and the rest comes'],
  ]),
  row('B29', 'a target that fills up midway', 'a small file system', 'exit 15, and the same command goes on', [
    ['bad-input/limits', 'at the target: 15, and the same command goes on when there is some'],
    ['engine:restore/restore-crash', 'a full target is E_NO_SPACE, and the same restore goes on when there is space'],
  ]),
  row('B31', 'links planted in the target, or made above a file', 'such targets', 'never written through', [
    ['engine:restore/restore-in-place', 'planted symlinks are never written through'],
    ['engine:restore/restore-damage', HAND_MADE],
  ]),
  row('B33', 'a bomb, or another length, under a valid key', 'crafted chunks', 'refused at the stated length', [
    ['engine:codec/zstd', 'a bomb is refused without being inflated'],
    ['engine:codec/seal-open', 'a body that breaks the format under a valid tag is refused'],
    ['engine:restore/restore-damage', 'a chunk that opens to another length than the entry says is refused'],
  ]),
  row(
    'B35',
    'a pack of another vault; the right name with other bytes',
    'crafted packs',
    'left alone, and said',
    [['engine:scrub/scrub', 'every single flipped bit of a pack is found']],
    'not tested: a pack of another vault that lies among those of this one',
  ),
  row('B36', 'a pack of an unknown type or feature', 'crafted packs', '16 where it is critical, else ignored', [
    [
      'engine:pack/pack',
      'a later version and an unknown critical feature are a newer format; unknown optional features are not',
    ],
    [DAMAGE, 'a pack that the index knows: refused by all that read it; not marked, merged away or called lost'],
  ]),
  row('B37', 'an index that names a wrong place', 'rows that are changed', 'the pack itself is asked', [
    ['engine:store/chunk-store/chunk-store', 'where the index is wrong about a place, the pack itself is asked'],
  ]),
  row(
    'B42',
    'all key slots deleted',
    'files deleted',
    'said, and the recovery sheet still opens another copy',
    [[DAMAGE, 'no slots at all']],
    'not tested: beside a running agent, which holds the key in memory',
  ),
  row(
    'B45',
    'an index of an older or a newer program',
    'kills in a migration',
    'set aside, or brought up',
    [['crash/coverage', 'every failpoint of the sources has a scene that is killed at it']],
    'not tested: one of a newer program; it is set aside like a damaged one (B44)',
  ),
  row(
    'B46',
    'packs, chains and descriptors of a newer format',
    'crafted files',
    '16, nothing is changed',
    [
      [
        DAMAGE,
        'an unknown pack found while the index is rebuilt',
        'an entry at the end of the chain, found while the index is built',
      ],
      ['engine:keys/descriptor-card-identity', 'a newer version is named as such'],
    ],
    'not tested: an older one, as version 1 is the first',
  ),
  row('B48', 'negative ages, tiers out of order, more sites than copies', 'such files', 'exit 2 with line and key', [
    ['agent:config/load-config', 'negative age', 'more sites than copies'],
  ]),
  row(
    'B52',
    'an endpoint without conditional writes',
    '',
    'works',
    [['engine:store/bucket/probe-store', 'a store that lists what is there passes, and nothing is left']],
    'nothing depends on conditional writes: listings show forks (F42)',
  ),
  row('B54', 'a peer whose clock is ten years off', 'libfaketime', 'works', [
    ['faults/clock', 'a holder whose clock is ten years ahead holds and gives what it has'],
  ]),
  row('B56', 'requests without a token, too large, or malformed', 'such requests', 'refused, nothing changes', [
    ['agent:http/control-server', 'has no paths but its own', 'is private, and gone after closing'],
    [
      'agent:http/peer',
      'refuses bodies over the limit before reading them',
      'refuses a client whose key no card names, with exit 14',
    ],
  ]),
  row('B58', 'a secret among the arguments', 'such commands', 'refused with the safe way', [
    ['cli/usage', 'a secret on the command line (%s) is refused, not repeated, and the safe way is named'],
  ]),
  row('B61', 'a prune that would remove everything', '', 'refused', [], 'this version has no command that forgets'),
  row(
    'B62',
    'a bucket in which nothing may be deleted',
    'a store that refuses',
    'told; it counts',
    [['engine:store/bucket/probe-store', 'a store that lets nothing be deleted is told, and counts']],
    'nothing but the probe is deleted in a bucket',
  ),
  row('B63', 'a reader beside a compaction and a drop', 'a look-up, then a compaction', 'it finds the chunk again', [
    ['engine:store/chunk-store/chunk-store', 'a pack that was compacted since the look-up is looked up again'],
  ]),
];
