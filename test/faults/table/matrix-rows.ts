/** Faults of machines, media, networks and peers that the product of today can meet. */
import { type FaultRow, row } from './row.ts';

const SYSCALLS = 'faults/syscalls';
const POWER = 'faults/power-loss';
const DAMAGE = 'bad-input/damage';
const LIMITS = 'bad-input/limits';

export const MATRIX_ROWS: readonly FaultRow[] = [
  row('F1', 'SIGKILL at a random time during a sync', 'kill of the real process', 'what was acknowledged restores', [
    ['faults/random-rounds', 'kills and media faults by chance lose nothing that was acknowledged'],
    ['crash/coverage', 'every scene is run'],
  ]),
  row('F2', 'SIGKILL at every failpoint', 'a setting that kills at the n-th hit', 'the same', [
    ['crash/coverage', 'every failpoint of the sources has a scene that is killed at it'],
  ]),
  row('F3', 'SIGKILL during a restore', 'the same', 'the same command goes on; no file is half-made', [
    [
      'engine:restore/restore-crash',
      'a restore that is killed at any moment is finished by the next run, and the target is never seen half-made',
    ],
  ]),
  row('F4', 'SIGKILL during merge, demote, adoption', 'crash scenes', 'nothing is lost', [
    ['crash/coverage', 'every scene is run'],
  ]),
  row('F5', 'SIGKILL during a rebuild of the index', 'crash scenes', 'the index is disposable', [
    ['crash/coverage', 'every scene is run'],
  ]),
  row('F6', 'SIGTERM to the agent', 'a signal', 'ends within 10 s, exit 143', [
    ['cli/agent', 'SIGTERM ends it with 143 within 10 s'],
  ]),
  row(
    'F7',
    'little memory',
    'a heap limit',
    'bounded memory',
    [],
    'takes 100 GB of data to show; figures in docs/performance.md',
  ),
  row(
    'F8',
    'a process that is stopped for longer than its lease',
    '',
    'its late writes are refused',
    [],
    'there are no leases: a data dir has one process (F9), and what a store takes depends on signatures and order, not on time',
  ),
  row(
    'F9',
    'one data dir opened twice; a cloned data dir',
    'a second process; a copied folder',
    'the second is refused; a clone is refused at the stores',
    [
      ['cli/usage', 'a second process on the data dir is told who has it: exit 11'],
      [
        'faults/put-back',
        'two copies of one data dir: the second that writes to the bucket is refused, the first goes on',
      ],
    ],
  ),
  row(
    'F10',
    'power loss at any moment of init, sync, merge, at a holder',
    'the log of system calls replayed: synced only, names only, contents only, by chance',
    'what was acknowledged restores, the next sync works',
    [
      [
        POWER,
        'a power loss during a sync loses nothing that was acknowledged, whatever the disk kept',
        'a power loss while small packs are merged loses nothing',
        'a power loss during init leaves a vault that works, or a folder in which init works',
        'a holder whose power goes right after the acknowledgement has everything on its disk',
      ],
      [
        'crash/write-order',
        'sync: pack bytes, pack name, index, record, acknowledgement; each durable before the next',
      ],
    ],
  ),
  row(
    'F11',
    'power loss in SQLite’s files',
    'the same: the index is one of the files that is replayed',
    'rows that were acknowledged are there, or are built again',
    [[POWER, 'a power loss during a sync loses nothing that was acknowledged, whatever the disk kept']],
  ),
  row(
    'F12',
    'a file system that forgets (LazyFS)',
    'FUSE',
    'the same',
    [],
    'the replay of F10 makes the same states without FUSE',
  ),
  row(
    'F13',
    'a full disk',
    'a loop disk filled up to several points',
    'an error that says so; reading works; a sync with space again makes all well',
    [
      [
        'faults/medium',
        'a full disk: what was acknowledged stays, reading goes on, and a sync with free space again makes all well',
      ],
      [LIMITS, 'nothing left at all for the data dir: what only reads still works'],
      [LIMITS, 'nothing left after a kill that left %s: what only reads works, and says so'],
      [LIMITS, 'for the data dir: 15, what was acknowledged stays and restores; with room it goes on'],
    ],
  ),
  row('F14', 'a full disk for the index or the log alone', 'a small tmpfs', 'the same', [
    [LIMITS, 'for the index alone: 15, and with room it is built'],
  ]),
  row('F15', 'a quota, a read-only disk', 'a remount; strace', 'an error that names the path', [
    ['faults/medium', 'a disk that went read-only: an error that names it, and nothing is lost'],
  ]),
  row('F16', 'the n-th fsync fails', 'strace: EIO', 'no acknowledgement that does not hold; the next sync works', [
    [
      SYSCALLS,
      'a sync whose n-th {what} fails with {error} acknowledges only what holds, and the next one works',
      'a holder whose n-th {what} fails with {error} acknowledges only what holds, and takes all of it later',
    ],
  ]),
  row('F17', 'the n-th write, rename, unlink, mkdir fails', 'strace: EIO, ENOSPC', 'the same', [
    [
      SYSCALLS,
      'a sync whose n-th {what} fails with {error} acknowledges only what holds, and the next one works',
      'a holder whose n-th {what} fails with {error} acknowledges only what holds, and takes all of it later',
    ],
  ]),
  row(
    'F18',
    'EIO in one pack, slot, descriptor, log, index',
    'strace: EIO on reads of that file',
    'an error of reading, nothing is changed; another copy is used',
    [
      [
        SYSCALLS,
        'a key slot or a descriptor that cannot be read now is an error of reading, not a wrong key and not an absent vault',
        'what cannot be looked at now is not taken for absent: a root is listed as present, a stored key is not passed over',
        'a log that cannot be read now is neither damaged nor cut: nothing of it is changed',
        'an index that cannot be read now is not thrown away for good: the next command has everything',
        'a restore meets a pack that cannot be read now: the other files come, exit 3, and the same command finishes later',
      ],
    ],
  ),
  row('F19', 'few file descriptors', 'ulimit', 'works, or says so', [
    [SYSCALLS, 'with 64 open files at most a sync ends well or says that it needs more'],
    ['engine:capture/capture-faults', 'few file descriptors slow a capture down, and fail nothing'],
  ]),
  row(
    'F20',
    'short reads and writes',
    'strace: a read that gives nothing',
    'bytes are those that were there',
    [['faults/three-states', 'a read that is cut short is finished, not taken for the end of a file']],
    'short writes: strace cannot let a part of a write happen',
  ),
  row('F21', 'a slow disk', 'delays', 'other peers are served', [], 'no assertion without timing is known'),
  row('F22', 'one changed bit in a pack', 'a flipped byte', 'found by scrub; read from elsewhere or an error', [
    [
      'engine:scrub/scrub',
      'every single flipped bit of a pack is found',
      'a damaged chunk is named with its file, marked, and mended from another copy',
    ],
    ['reader/reader', 'refuses a pack with one byte flipped, wherever it is'],
  ]),
  row('F23', 'one changed bit in a record, slot, card, descriptor', 'a flipped byte', 'found; other copies are used', [
    ['engine:keys/slot', 'damage is E_INTEGRITY and never taken for a wrong secret: every flipped bit'],
    ['engine:keys/descriptor-card-identity', 'any flipped bit is found'],
    [
      DAMAGE,
      'a card flipped: 7, with its file',
      'slots: 7 and not 12, and the recovery code still opens the vault elsewhere',
    ],
  ]),
  row('F24', 'a pack cut short, zeroed, swapped, gone', 'the file changed', 'found, never served', [
    ['engine:scrub/scrub', 'a pack that is cut short or gone names what was in it'],
    ['faults/random-rounds', 'kills and media faults by chance lose nothing that was acknowledged'],
  ]),
  row('F25', 'a damaged, stale, missing index', 'pages overwritten, files deleted', 'set aside and built again', [
    [
      'engine:index/index',
      'flipped pages are set aside or change nothing that is asked',
      'a stale copy is not damage: it opens',
    ],
    ['faults/random-rounds', 'kills and media faults by chance lose nothing that was acknowledged'],
  ]),
  row(
    'F26',
    'the whole disk is lost',
    'folders deleted',
    'every file comes back from a peer, or from the bucket alone',
    [
      ['quickstart/quickstart', 'a machine is protected, destroyed and brought back with every byte'],
      ['cli/tiers-and-buckets', 'recover from the bucket, on an empty machine, with only the sheet'],
    ],
  ),
  row(
    'F27',
    'partitions',
    'a peer that is away',
    'what is owed is kept and sent later',
    [['agent:agent', 'keeps what it owes while a peer is away, and sends it later']],
    'asymmetric and flapping partitions need network namespaces',
  ),
  row('F28', 'loss, delay, one kilobyte a second', 'a bad network', 'converges', [], 'needs network namespaces'),
  row(
    'F29',
    'connections that break, hang, are never read',
    'a server that stops in the middle',
    'deadlines, no leak',
    [
      [
        'agent:http/peer',
        'gives up a server that is silent, and one that stops in the middle of a stream',
        'readers that stop early hold no connection',
      ],
    ],
  ),
  row('F30', 'a peer that sends other bytes', 'a fake peer', 'refused; another copy is used', [
    ['engine:restore/restore-damage', 'a damaged chunk is healed from another source, and the bad copy is told'],
  ]),
  row(
    'F31',
    'an old head, a fork, a bad signature, a gap',
    'records made by hand; images put back',
    'exit 9 with proof',
    [['faults/put-back', 'a data dir that is put back behind its holder is refused there, and a takeover ends it']],
  ),
  row('F32', 'a peer that acknowledges and then deletes', 'packs deleted at a holder', 'found, sent again', [
    ['faults/asked-not-remembered', 'a holder that lost {what} gets it again before anything is safe there'],
  ]),
  row(
    'F33',
    'floods and huge lists',
    'requests over the limits',
    'bounded',
    [['agent:http/peer', 'bounds what one peer asks at once', 'refuses bodies over the limit before reading them']],
    'ten thousand connections are not tried',
  ),
  row('F33a', 'a stranger’s request that names no path', 'raw bytes over TLS', 'refused; the agent goes on', [
    ['faults/strangers', 'a request whose target is no path ends no agent'],
  ]),
  row(
    'F33b',
    'huge objects, and very many of them, planted in a bucket; a listing without end',
    'sparse files of three gigabytes; a server that does',
    'bounded memory and time, no process ends by it',
    [
      [
        'faults/hostile-bucket',
        'an object of three gigabytes in the place of {what} is an error or passed over, and takes no memory',
        'a thousand large cards of nobody in a bucket take no memory of a recovery',
      ],
      ['stores/s3-faults', 'pages that name nothing are given up after a while'],
    ],
  ),
  row('F34', 'malformed bytes at every decoder', 'property tests', 'a value or an error of the format', [
    ['engine:pack/pack', 'arbitrary and mutated bytes give a value or an E_FORMAT, whatever they claim'],
    ['engine:tree/tree', 'arbitrary and mutated bytes give a value or an E_FORMAT'],
    ['engine:codec/seal-open', 'arbitrary bytes are E_INTEGRITY'],
  ]),
  row(
    'F35',
    'no certificate, another one, TLS 1.2',
    'clients and servers with other keys',
    'no byte of the application before the pin matches',
    [
      [
        'agent:http/peer',
        'refuses a client whose key no card names, with exit 14',
        'sends no application byte to a server with another key',
        'speaks neither TLS 1.2 nor without a certificate, and resumes no session',
      ],
    ],
  ),
  row('F36', 'a peer of another version', 'another protocol number', 'works or exit 16', [], 'one version exists'),
  row('F37', 'S3 that answers 500, 503, SlowDown', 'a server that does', 'retries with a budget', [
    ['stores/s3-faults', 'an outage is given up after a bounded number of tries'],
    ['engine:store/objects/retrying', 'spends a bounded budget of retries in an outage'],
  ]),
  row('F38', 'S3 that stalls, or resets after k bytes', 'a server that does', 'nothing partial is visible', [
    [
      'stores/s3-faults',
      'a body that breaks off at any point is read again',
      'a stalled server ends each try after the idle timeout',
    ],
  ]),
  row('F39', 'a PUT whose reply is lost', 'a store that drops it', 'its own object is success, another one is not', [
    ['engine:store/objects/retrying', 'takes its own earlier put, whose reply was lost, for success'],
  ]),
  row('F40', 'S3 that gives wrong or short bytes, or ignores ranges', 'a server that does', 'never used', [
    [
      'stores/s3-faults',
      'a short range that looks complete is read again',
      'a server that ignores ranges',
      'a body that was spoiled on the server shows in its md5',
    ],
  ]),
  row(
    'F41',
    'two writers of one key',
    'a put that must not replace',
    'one wins, and both read what lies there',
    [],
    'only store.id is put by more than one agent; that such a put never replaces is in the contract of all drivers (testing/object-store-contract.ts)',
  ),
  row(
    'F42',
    'a store that lists what was put too late, or ignores If-None-Match',
    'a server that leaves the newest objects out of listings',
    'the probe of a store that is added says so, and the store counts for no level; conditional puts are not needed',
    [
      ['bad-input/elsewhere', 'that does not list what was put: it counts for no level, and says so'],
      [
        'engine:store/bucket/probe-store',
        'a store that does not list what was put, or lists what was deleted, is refused',
      ],
    ],
  ),
  row(
    'F43',
    'no rights, another region, an archived object, no bucket',
    'a server that does',
    'one error that says what to do',
    [
      ['stores/s3-faults', 'an object in an archive class', 'a bucket of another region'],
      [
        'stores/s3-object-store',
        'names the action and the permission when it is refused',
        'says that there is no such bucket, whatever is asked first',
      ],
    ],
  ),
  row(
    'F44',
    'parts of an upload that a crash leaves',
    '',
    'they are removed',
    [
      [
        'engine:store/objects/folder',
        'removes what a killed writer left long ago, and leaves what another one writes now',
      ],
    ],
    'S3: every object is one PUT, so there are no parts',
  ),
  row(
    'F45',
    'clocks that are wrong',
    'libfaketime: a year, ten years, both ways',
    'nothing goes early; order is that of the log',
    [
      [
        'faults/clock',
        'a clock that jumps a year ahead, back, and ten years: every snapshot stays and restores, and latest is the last one made',
        'a holder whose clock is ten years ahead holds and gives what it has',
      ],
    ],
  ),
  row(
    'F46',
    'collection beside captures',
    '',
    'no snapshot lacks a chunk',
    [],
    'no command forgets yet; the rules are tested in the engine and in the model',
  ),
  row(
    'F47',
    'two stores that drop a copy because the other one has it',
    'statements and readings that change in between',
    'never fewer copies than the policy says',
    [
      [
        'engine:demote/verify-at-peers',
        'a chunk that is released and added again between its verification and the drop stays',
        'the bytes are read after the statement, and asked about once more behind them',
      ],
      ['models/models', 'models hold, mutants are caught'],
    ],
    'holders drop only what was released; that two tiers do it at once is in the model',
  ),
  row(
    'F48',
    'an agent that was expelled and writes on',
    '',
    'it is refused',
    [],
    'this version has no command that expels an agent; a takeover ends its older incarnation (F31)',
  ),
  row('F49', 'everything at once', 'kills and media faults by chance', 'every acknowledged snapshot restores', [
    ['faults/random-rounds', 'kills and media faults by chance lose nothing that was acknowledged'],
  ]),
  row(
    'F50',
    'three days of everything',
    '',
    'no loss, no leak',
    [],
    'takes days: EDGESTORE_FAULT_ROUNDS and EDGESTORE_CRASH_KILLS make the random rounds and kills as long as wanted',
  ),
];
