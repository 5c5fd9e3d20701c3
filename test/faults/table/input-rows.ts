/** Bad inputs: names, trees, files, secrets, configuration and commands. */
import { type FaultRow, row } from './row.ts';

const HOSTILE = 'scenarios/hostile-tree';
const HOSTILE_NAME = 'comes back identical after its folder is gone';
const CAPTURE = 'engine:capture/capture';
const FAULTS = 'engine:capture/capture-faults';
const DAMAGE = 'bad-input/damage';

export const INPUT_ROWS: readonly FaultRow[] = [
  row(
    'B1',
    'names with control bytes, that are not UTF-8, of 255 bytes, twins',
    'a tree of them',
    'kept byte by byte; shown escaped',
    [
      [HOSTILE, HOSTILE_NAME],
      [CAPTURE, 'names of any bytes, all kinds and times come back as they were'],
      ['cli:output/printable', 'nothing that a terminal acts on is left, and ordinary text is as it was'],
    ],
  ),
  row('B4', 'paths over 4096 bytes, a thousand levels', 'a tree of them', 'captured and restored', [
    [CAPTURE, 'paths beyond 4096 bytes and a thousand levels are captured'],
    ['engine:restore/restore-parts', 'a thousand levels and paths beyond 4096 bytes'],
  ]),
  row(
    'B6',
    'symlinks of all kinds, a root that is a link',
    'a tree of them',
    'stored as links, a root is followed once',
    [
      [HOSTILE, HOSTILE_NAME],
      [CAPTURE, 'a symlink is followed once'],
    ],
  ),
  row('B8', 'hard links', '10,000 of them', 'one copy, linked again', [
    [
      CAPTURE,
      '10,000 links are read once',
      'hard links are one file, in whatever folders, and stay so when the first one goes',
    ],
  ]),
  row('B9', 'sparse files; lengths around every boundary', 'files of them', 'exact', [
    [CAPTURE, 'sizes around every boundary, a large file, duplicates and a sparse file keep their bytes'],
  ]),
  row('B12', 'FIFOs, sockets, devices', 'a tree of them', 'never opened', [[HOSTILE, HOSTILE_NAME]]),
  row('B13', 'files that say that they are empty and are not', '/proc', 'read up to a bound', [
    [FAULTS, 'files that say they are empty are read up to a bound, and reading errors are reported'],
  ]),
  row(
    'B14',
    'files that grow, shrink, or are replaced while they are read',
    'a writer beside',
    'read again, then marked',
    [
      [
        FAULTS,
        'a large file that never holds still is read three times, then stored, marked and reported',
        'a large file that shrinks while it is read is read again, and is then whole',
      ],
    ],
  ),
  row('B15', 'files that go, or become links, after they were listed', 'a writer beside', 'left out, never followed', [
    [
      FAULTS,
      'a file that goes away after it was listed is left out with a notice',
      'a file that becomes a symlink is never followed',
      'a folder that is swapped for another after it was listed is not entered',
    ],
  ]),
  row('B17', 'files that may not or cannot be read', 'rights', 'exit 3, named; the earlier version stays', [
    ['bad-input/limits', 'what cannot be read: 3, named; its earlier version is kept, and it is no deletion'],
  ]),
  row('B19', 'a root that is unmounted or empty', 'an empty folder', 'exit 21, no snapshot', [
    [HOSTILE, 'a folder that vanished is no mass deletion: exit 21, and no snapshot'],
  ]),
  row('B22', 'odd times; changes that leave size and time', 'files of them', 'nanoseconds kept; changes seen', [
    [
      CAPTURE,
      'sees a change that left size and modification time as they were',
      'reads again what changed just before the last capture began',
    ],
  ]),
  row('B24', 'extended attributes; owners that do not exist; not root', 'a tree of them', 'kept, or one warning', [
    [HOSTILE, HOSTILE_NAME],
    ['engine:restore/restore-as-user', 'who is not root gets the content, one warning, and no setuid bits'],
  ]),
  row('B28', 'a target that is not empty, is the data dir, is full', 'such targets', 'refused, or resumable', [
    ['engine:restore/restore', 'a target is refused when it is not empty, holds the data dir, or is none'],
    ['bad-input/limits', 'at the target: 15, and the same command goes on when there is some'],
  ]),
  row('B30', 'trees made by hand to leave the target; planted links', 'crafted pages', 'nothing is made outside', [
    [
      'engine:restore/restore-damage',
      'trees made by hand to leave the target are refused, and nothing is made outside',
    ],
    ['engine:restore/restore-in-place', 'planted symlinks are never written through'],
    ['reader/reader', 'takes no name that leads out of the target, however the page is signed'],
  ]),
  row('B32', 'claims of huge lengths; bombs', 'crafted bytes', 'refused before memory is taken', [
    ['engine:tree/tree', 'claims of huge lengths fail before anything is allocated'],
    ['engine:codec/zstd', 'a bomb is refused without being inflated'],
  ]),
  row('B34', 'a pack that is cut, empty, of another vault, of a newer version', 'crafted packs', 'that pack only', [
    ['engine:pack/pack', 'a pack cut anywhere, or longer, is an E_FORMAT'],
    [DAMAGE, 'an unknown pack found while the index is rebuilt'],
  ]),
  row('B38', 'a pack that a snapshot needs is missing', 'a pack deleted', 'files are named; others restore', [
    ['cli/lost-chunks', 'a pack that vanished: exit 7 with the files, as text too, until a sync has stored them again'],
  ]),
  row('B39', 'passphrases: wrong, empty, long, composed otherwise', 'such secrets', '12 for a wrong one only', [
    ['cli/init-and-keys', 'wrong, empty, missing and failing ones are told apart'],
    ['engine:keys/slot', 'a passphrase is the same however its accents are composed'],
  ]),
  row('B40', 'key files: open to others, links, damaged', 'such files', 'refused, 7 and 12 told apart', [
    [
      'cli/init-and-keys',
      'a key file is made 0600, and refused when others can read it, when it is a link, damaged or another',
    ],
  ]),
  row('B41', 'slots with absurd costs; no slots', 'crafted slots', 'refused before memory is taken', [
    [
      'engine:keys/slot',
      'an altered key under a mended checksum is found by its tag, an absurd cost before it is allocated',
    ],
    [DAMAGE, 'no slots at all'],
  ]),
  row('B43', 'a recovery code with a typo', 'one character', 'the word is named', [
    ['engine:keys/recovery', 'any one wrong character is found, and the word that it is in is named'],
  ]),
  row('B44', 'an index that is no database, or newer', 'such files', 'set aside; 16 untouched', [
    ['engine:index/index', 'an empty file or a killed first start is simply begun'],
  ]),
  row('B47', 'configuration with errors of all kinds', 'such files', 'exit 2 with all of them', [
    ['bad-input/usage', 'all errors at once, each with file, line and the nearest name; nothing else runs'],
    ['agent:config/load-config', 'bytes that are not UTF-8, and ten megabytes'],
  ]),
  row(
    'B49',
    'configuration that changes under a running agent',
    'a reload',
    'the old one is kept when the new one is wrong',
    [['agent:agent', 'reload takes a changed configuration, and keeps the old one when the new is wrong']],
  ),
  row('B50', 'a bucket that is absent, forbidden, down', 'such endpoints', 'one error, in bounded time', [
    [
      'bad-input/elsewhere',
      'missing: 10, named, and nothing is made here',
      'forbidden: 14, with what is not allowed; with the right keys all goes on',
      'at an endpoint that is down: 1, in bounded time, and what is here is safe',
    ],
  ]),
  row('B51', 'a bucket with foreign objects', 'other keys', 'never read, never deleted', [
    ['engine:store/bucket/bucket-layout', 'takes nothing foreign for its own'],
  ]),
  row('B53', 'a peer that is not there, or another one', 'such addresses', 'keeps trying, or refuses', [
    [
      'bad-input/elsewhere',
      'that is not there: 5 with --wait in bounded time; the copy here is safe',
      'with another certificate: 14, with both fingerprints, and it gets nothing',
    ],
  ]),
  row('B55', 'a port in use; a stale or too long socket path', 'such places', 'a clear error', [
    ['agent:http/peer', 'a second server on the port is a clear error'],
    [
      'agent:http/control-server',
      'is not taken from an agent that answers, nor from a file that is no socket',
      'has a short name elsewhere when the data dir has a long one, or says what to do',
    ],
  ]),
  row('B57', 'ambiguous ids, bad dates, patterns that match nothing', 'such arguments', 'exit 2 with candidates', [
    ['bad-input/usage', 'an ambiguous prefix lists the candidates: 2'],
  ]),
  row('B59', 'closed stdout, no home, few columns', 'such environments', 'no crash', [
    ['cli/usage', 'a reader that leaves early is no crash', 'with a home that is missing or read-only, nothing fails'],
  ]),
  row('B60', 'a root that has the data dir in it', 'such a root', 'left out', [
    [CAPTURE, 'ignore files, exclude patterns, cache folders and the data dir', 'a data dir cannot be a root'],
  ]),
  row('B64', 'umask 000', 'such a process', 'files are 0600', [
    ['engine:store/data-dir', 'a data dir and its files are private whatever the umask'],
  ]),
];
