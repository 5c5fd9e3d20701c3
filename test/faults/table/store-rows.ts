/** The faults that were found in the store, the log and replication: each a kind, of which the test has an example. */
import { type FaultRow, row } from './row.ts';

const THREE = 'faults/three-states';
const ASKED = 'faults/asked-not-remembered';
const PUT_BACK = 'faults/put-back';
const POWER = 'faults/power-loss';
const MEDIUM = 'faults/medium';
const BEHIND = 'faults/index-behind';
const CUT = 'faults/nothing-cut-off';

export const STORE_ROWS: readonly FaultRow[] = [
  row(
    'C1',
    'a frame that cannot be read now, once or during a whole scrub',
    'strace: EIO on reads of packs',
    'unreadable is not damaged and not absent; a good read lifts the mark; no merge unlinks the only copy',
    [
      [
        THREE,
        'a merge that cannot read a frame now keeps its pack, and says so',
        'a scrub on a disk that gave EIO once makes no later merge delete what is good again',
        'a good read lifts the mark of a bad one: scrub and status are well again',
        'a damaged frame is a finding until it is whole again, through a rebuild of the index too',
        'a read that is cut short is finished, not taken for the end of a file',
      ],
    ],
  ),
  row(
    'C1a',
    'a wrong address of a store, an unplugged disk, an unmounted archive',
    'configuration; umount of a loop disk',
    'nothing is ever "not there" for good because of one look at the wrong place',
    [
      [
        'faults/wrong-place',
        'one run with a wrong address of the archive makes nothing lost: with the right one everything restores',
      ],
      [
        MEDIUM,
        'an unplugged archive is not an empty one: nothing is lost, nothing is stored twice, and plugged in again all is well',
      ],
    ],
  ),
  row(
    'C1b',
    'a bucket folder that is unmounted in the middle of a job, at each of its looks and requests',
    'the folder moved away, an empty one in its place, while strace delays a close of store.id; a store that changes at the k-th call',
    'nothing is called lost, acknowledged or dropped; mounted again, the next job makes all well',
    [
      [
        'faults/wrong-place',
        'a bucket that is unmounted in the middle of a sync is not acknowledged, and has everything after the next one',
        'tier run drops nothing for copies in the empty folder of a bucket that was unmounted in the middle of it',
      ],
      [
        'engine:replicate/replicate-to-bucket',
        'acknowledges nothing and calls nothing gone, at whatever call it goes (lost before: %s)',
        'acknowledges only what is there, when it is away for %i calls',
      ],
      [
        'engine:demote/demote',
        'drops nothing that is only in an empty place in the bucket’s stead, at whatever call it comes, for %d calls',
      ],
    ],
    'a disk that goes and comes back twice within one put',
  ),
  row(
    'C2',
    'a holder that lost packs',
    'packs deleted while the holder is down',
    'the holder knows and says so; the owner drops what it believed and sends again; `status --check` is 20 on both sides until all is whole',
    [
      [
        ASKED,
        'a holder that lost {what} gets it again before anything is safe there',
        'the owner says that a holder lost something from the moment at which it can know',
      ],
    ],
  ),
  row(
    'C2a',
    'a holder that was put back to an older copy of its data dir',
    'an image of the data dir put back',
    'nothing counts as safe there until it has everything again',
    [[ASKED, 'a holder whose data dir was put back to an older copy gets what it lacks before anything is safe there']],
  ),
  row(
    'C2b',
    'the only copies of demoted files are gone',
    'tier run, then packs deleted at the holder',
    'files that look unchanged are read again',
    [[ASKED, 'files whose every copy is gone are read again, although they look unchanged']],
  ),
  row(
    'C2c',
    'a pack that was deleted in the bucket; an empty folder in its place',
    'objects deleted',
    'the listing is compared with the index; what lacks is put again; an empty folder is not the store',
    [
      [
        ASKED,
        'a pack that was deleted in the bucket is put there again before anything is safe there',
        'an empty folder in place of the bucket is not a bucket: nothing is safe there and nothing is forgotten',
        'tier run drops nothing here when the archive lost what it was said to have',
        'a changed byte in the bucket is found by scrub and put right from here',
        'a pack in the bucket that lost its end or its index is put again by scrub --all --repair, and warns of nothing that anyone needs',
        'chunks of a cold tier that are damaged there come back here from a holder, and are moved again',
      ],
    ],
  ),
  row(
    'C2d',
    'a holder that stores nothing and repeats the head; a peer that names a head far ahead',
    'a member that signs false statements, in a process of its own',
    'no acknowledgement without a statement for the asked nonce',
    [
      [
        'engine:replicate/replicate-to-peer',
        'one that says yes to everything and stores nothing is met by the audit, at each pass',
      ],
    ],
    'a head far ahead is tested in the engine, with fakes where statements are built',
  ),
  row(
    'C2e',
    'a holder that keeps nothing, and proves bytes that it fetches from the owner in that moment; one that lacks what it showed a moment before',
    'a member that lies, in a process of its own',
    'nothing is acknowledged, and no own copy goes',
    [
      [
        'faults/lying-holder',
        'a holder that keeps nothing and proves the bytes that it fetches from the owner is believed in nothing',
        'a holder that lacks what it showed a moment before makes no own copy go',
      ],
    ],
    'a holder that fetches them from another holder in that moment is believed: one real copy counts twice then',
  ),
  row(
    'C2f',
    'answers of a holder that are made to cost: lists of shards that are not there, the last epoch, codes of this machine, bytes by drip',
    'a member that lies, in a process of its own',
    'bounded memory and time, also of later commands; with an honest holder all goes on',
    [
      [
        'faults/lying-holder',
        'long lists of shards that the owner does not have take no memory, then or later',
        'a holder that is shown the last epoch that there is, signed by itself, goes on',
        'a holder that answers {code}, a code of this machine alone, is a holder that failed',
        'a holder that gives {how} does not keep a tier run for ever',
      ],
    ],
  ),
  row(
    'C3',
    'a machine that was put back to an image, or runs twice',
    'an image put back; a copied data dir',
    'the bucket is asked before anything is acknowledged; a fork is refused, never made; what the bucket has stays restorable',
    [
      [
        PUT_BACK,
        'a machine that was put back acknowledges nothing at the bucket, and says why',
        'what the bucket has is restorable after a machine was put back and went on',
        'two copies of one data dir: the second that writes to the bucket is refused, the first goes on',
        'a data dir that is put back behind its holder is refused there, and a takeover ends it',
      ],
    ],
  ),
  row(
    'C4',
    'a commit of the index that fails after the record is in the log',
    'strace: EIO on the n-th fsync of the write-ahead log; a lock held for seven seconds',
    'the index is brought up to the log before anything is appended, sent or acknowledged',
    [
      [
        BEHIND,
        'a failed fsync of the index is followed by no success, and the next sync makes everything whole',
        'an index that another process keeps locked: the record is not lost on the next start',
      ],
    ],
  ),
  row(
    'H1',
    'a log tail or the name of a pack that a kill left unsynced, then a power loss',
    'SIGKILL at a failpoint, then the log of writes replayed',
    'what a start adopts is fsynced before anything relies on it',
    [
      [
        POWER,
        '{what} that a kill left unsynced is synced before anything relies on it',
        'names of a bucket folder that a kill left unsynced are synced before anything there counts',
        'an unfinished end of a chain is on the disk at every moment, in the chain or beside it',
      ],
    ],
  ),
  row(
    'H2',
    'frames salvaged from a damaged pack',
    'a changed byte, a cut tail, no index',
    'a bad frame is not stored; a full scan stores it again',
    [[THREE, 'frames that were salvaged from a damaged pack do not pass for stored when they are bad themselves']],
  ),
  row(
    'H3',
    'a changed byte in a holder’s copy of a log or of the holds',
    'one byte flipped',
    'the holder says so and acknowledges nothing behind it; scrub --repair there takes the records from the owner again',
    [[ASKED, 'one changed byte in {what} at a holder is said there, nothing is safe there, and a repair mends it']],
  ),
  row(
    'H4',
    'memory of tier run, recover and replication at millions of chunks',
    'a large index',
    'under 400 MiB at 10 million chunks',
    [],
    'takes hours and gigabytes; measured by hand, figures in docs/performance.md',
  ),
  row(
    'H5',
    'a byte changed on the medium while the page cache has the good one',
    'the image of a loop disk edited',
    'what verifies reads the medium, here and at holders',
    [
      [
        MEDIUM,
        'tier run drops no copy because of what the page cache has: a byte changed on the archive is noticed',
        'scrub reads the medium: a byte changed below the page cache is found',
      ],
    ],
  ),
  row(
    'H6',
    'a local pack that goes',
    'a pack deleted',
    '`status --check` is 20 in that very run and until its chunks are stored again',
    [[THREE, 'a pack that went is a finding in that very run and ever after, until its chunks are stored again']],
  ),
  row(
    'H7',
    'no index, and one pack that cannot be read',
    'index deleted, strace: EIO on one pack',
    'every command works but for what that pack has',
    [[THREE, 'without an index and with EIO in one pack every command works but for what that pack has']],
  ),
  row(
    'M1',
    'a power loss after a restore',
    'the log of writes to the target replayed',
    'content is durable before the marker goes',
    [
      [
        POWER,
        'a restore is durable before its marker goes: after a power loss every file is whole, or the same command goes on',
      ],
    ],
  ),
  row(
    'M2',
    'a hold log over 2 GiB',
    'a huge file',
    'read in parts',
    [],
    'takes gigabytes; the chain is read in pages, which its own tests look at',
  ),
  row(
    'M3',
    'an fsynced transaction for each queued row',
    'a month of snapshots',
    'one transaction for all',
    [],
    'a cost, not a fault that shows from outside; a test of the engine counts transactions',
  ),
  row(
    'M4',
    'status and metrics that decode every snapshot',
    'many snapshots',
    'counts are kept',
    [],
    'a cost; the bench shows it',
  ),
  row(
    'M5',
    'an fsynced transaction for each marked chunk',
    'many marks',
    'one transaction for all',
    [],
    'a cost; a test of the engine counts transactions',
  ),
  row(
    'M6',
    'archive classes and misspelt classes in the configuration',
    'configuration',
    'refused for trees, refused when unknown',
    [
      [
        'faults/wrong-place',
        'a storage class that does not exist, or from which nothing can be read at once, is refused',
      ],
    ],
  ),
  row(
    'M7',
    'copies counted as dropped that were kept',
    'a holder that cannot show the chunk',
    'freed bytes are those that went',
    [['engine:demote/demote', 'moves but keeps when the peer cannot show it']],
  ),
  row(
    'M8',
    'bytes of the index a chunk',
    'a large index',
    'no row a chunk for placements',
    [],
    'a size; measured by the bench',
  ),
  row(
    'S1',
    'zeros inside a chain file, and the index gone',
    'an entry of holds zeroed, index deleted',
    'they are damage: whole entries behind them stay, snapshots in them restore, and status says it; at a holder too, whose owner is gone',
    [
      [
        CUT,
        'zeros inside the own chain, without the index, take no snapshot along that lies behind them',
        'zeros inside the chain at the only holder that is left, without its index: everything comes back',
      ],
    ],
  ),
  row(
    'S2',
    'one changed byte in the chain at the only holder that is left',
    'one byte flipped in a record, in the header of an entry of holds',
    'a recovery takes all entries around it; what is behind it is listed, and restores',
    [[CUT, 'one changed byte in {what} at the only holder that is left: everything behind it comes back']],
  ),
  row(
    'S2a',
    'one changed byte in a chain segment in the bucket',
    'one byte flipped',
    '`scrub --all` is 20 and names it, `--repair` puts it again; a recovery takes all entries around it',
    [[CUT, 'one changed byte in the chain in the bucket is found by scrub, and what lies behind it comes back']],
  ),
  row(
    'S2b',
    'a chain that was cut by a repair is damaged again, or its agent is recovered',
    'a byte flipped in an entry, repaired, syncs until a number comes again, and once more',
    'the second repair and the recovery work, every snapshot stays listed, and the newest one comes back',
    [
      [
        'bad-input/damage',
        'a second repair, where both incarnations used one number: all snapshots stay, and a recovery brings the newest back',
      ],
    ],
  ),
  row(
    'S3',
    'the pack that a merge made is gone after a kill, before the old packs were removed',
    'SIGKILL at a failpoint, then the pack moved away',
    'the start reads it before it removes the packs that it replaces',
    [[CUT, 'packs that a killed merge was about to remove stay, when the pack that replaced them is gone']],
  ),
  row(
    'S4',
    'a damaged length in the file of marks',
    'one byte changed',
    'the notes behind it count; the damage is told',
    [['engine:store/marks-file', 'a note of which the length is damaged takes none of those behind it along']],
  ),
  row(
    'S5',
    'a root whose disk is not mounted',
    'an empty folder in its place',
    'no snapshot is written, and `status --check` is 20 until it is there again',
    [['faults/wrong-place', 'a root whose disk is not mounted is a finding, and its last snapshot stays']],
  ),
];
