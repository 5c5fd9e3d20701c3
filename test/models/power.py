"""(g) Power loss, kill and failed fsync inside one append of the single writer.

Order of a capture (2.1): pack durable, add entry, record entry, one fsync, index transaction. The header file and the
pack folder are modelled apart. For each file: what was written (page cache) and what is on the disk. A failed
fsync marks pages clean: the next fsync of the same pages says success and writes nothing.
Kill keeps the cache. Power loss leaves any prefix of the chain file between disk and cache.
The capture adds chunk n and records snapshot n, for n = 1, 2: entries ('A', n, life), ('S', n, life).
"""

from collections import namedtuple

from search import Case

State = namedtuple(
    'State', 'chain disk clean packs packs_disk index sent acked up failed life phase kills powers fails'
)
# chain: entries in the cache. disk: entries on the disk. clean: entries that the kernel takes for written.
# packs, packs_disk: numbers of packs visible, and durable. index: entries applied. sent: what a holder took.
# acked: snapshots acknowledged local. phase of the capture: 0 idle, 1 pack written, 2 add appended, 3 record appended.


def build(rules, budget, captures=2):
    init = State((), (), 0, frozenset(), frozenset(), 0, (), 0, 1, 0, 0, 0, *budget)

    def flush(s):
        """A fsync that says success: only pages that the kernel holds for dirty are written."""
        if s.clean >= len(s.chain):
            return s  # nothing dirty, nothing written, success
        if s.clean > len(s.disk):
            # Clean pages before the dirty ones never reached the disk: a hole. The valid prefix stays as it was.
            return s._replace(clean=len(s.chain))
        return s._replace(disk=s.chain, clean=len(s.chain))

    def step(s):
        number = sum(1 for e in s.chain if e[0] == 'S') + 1
        if s.up and not s.failed:
            if s.phase == 0 and number <= captures:
                held_already = any(e[0] == 'A' and e[1] == number for e in s.chain)
                n = s._replace(packs=s.packs | {number}, phase=2 if held_already and number in s.packs else 1)
                yield f'pack {number} written and renamed', n
            if s.phase == 1:
                if number not in s.packs_disk:
                    yield f'pack {number} and its folder fsynced', s._replace(packs_disk=s.packs_disk | {number})
                # A pack that a start adopted is used as it is.
                believed = rules.get('packs_believed') and s.life and number in s.packs
                if number in s.packs_disk or believed or rules.get('add_before_pack'):
                    yield f'add {number} appended', s._replace(chain=s.chain + (('A', number, s.life),), phase=2)
            if s.phase == 2:
                yield f'record {number} appended', s._replace(chain=s.chain + (('S', number, s.life),), phase=3)
            if s.phase == 3:
                yield 'fsync', flush(s)._replace(phase=4)
                if s.fails:
                    for cut in range(len(s.disk), len(s.chain) + 1):
                        yield f'fsync FAILS, {cut} entries are on the disk', s._replace(
                            disk=s.chain[:cut], clean=len(s.chain), failed=1, fails=s.fails - 1
                        )
                if rules.get('index_before_fsync'):
                    yield 'index transaction before the fsync', s._replace(index=len(s.chain), phase=5)
            if s.phase == 4:
                yield 'index transaction', s._replace(index=len(s.chain), phase=5)
            if s.phase == 5:
                yield 'acknowledge local', s._replace(acked=max([e[1] for e in s.chain if e[0] == 'S'], default=0), phase=0)
            # Sending: only what the index has, so only after the fsync (2.4).
            limit = len(s.chain) if rules.get('sends_early') else s.index
            if s.sent == s.chain[: len(s.sent)] and len(s.sent) < limit:
                yield f'the holder takes entry {len(s.sent) + 1}', s._replace(sent=s.chain[: len(s.sent) + 1])
        if s.up and s.failed:
            if rules.get('fsync_again'):
                yield 'fsync again says success', flush(s)._replace(failed=0, phase=4)
            else:
                for keep in {len(s.chain), len(s.disk)}:
                    if keep >= s.index:
                        part = s.chain[:keep]
                        yield f'the file is read again, {keep} entries go to a new file that replaces it', s._replace(
                            chain=part, disk=part, clean=keep, index=keep, failed=0, life=s.life + 1, phase=0
                        )
        if s.up and s.kills:
            yield 'kill -9', s._replace(up=0, failed=0, phase=0, kills=s.kills - 1)
        if s.powers:
            low = len(s.disk)
            high = len(s.chain) if s.clean <= low or s.clean < len(s.chain) else low
            if s.clean > low:
                high = low  # clean pages that never reached the disk are lost, and all behind them
            for cut in range(low, max(low, high) + 1):
                part = s.chain[:cut]
                for lost in ([], sorted(s.packs - s.packs_disk)):
                    left = s.packs - set(lost)
                    yield f'power loss, {cut} entries and packs {sorted(left)} survive', s._replace(
                        chain=part, disk=part, clean=cut, packs=left, packs_disk=left, up=0, failed=0, phase=0, powers=s.powers - 1
                    )
        if not s.up:
            # Start (2.5): the tail is verified, written again, fsynced, then applied.
            if rules.get('tail_believed'):
                n = s
            elif rules.get('tail_fsynced_only'):
                n = flush(s)
            else:
                n = s._replace(disk=s.chain, clean=len(s.chain))
            packs_disk = s.packs_disk if rules.get('packs_believed') else s.packs
            yield 'start', n._replace(packs_disk=packs_disk, index=len(s.chain), up=1, life=s.life + 1, phase=0)

    def broken(s):
        if not s.up:
            return None
        if len(s.sent) > len(s.chain):
            return f'the holder has {len(s.sent)} entries, the own file {len(s.chain)}: only a takeover ends it'
        if s.sent != s.chain[: len(s.sent)]:
            return 'the owner forked itself'
        snapshots = {e[1] for e in s.chain if e[0] == 'S'}
        adds = {e[1] for e in s.chain if e[0] == 'A'}
        if s.acked and s.acked not in snapshots:
            return f'snapshot {s.acked} was acknowledged local and is not in the file'
        for n in snapshots:
            if n not in adds:
                return f'snapshot {n} reaches a chunk that is not held'
            if n not in s.packs:
                return f'snapshot {n} is in the file, its pack is not there'
        if adds - s.packs:
            return f'held and never stored: {sorted(adds - s.packs)}'
        return None

    return init, step, broken


CASES = [
    Case('G1 all rules', 'holds', lambda: build({}, (2, 2, 2)), quick=False),
    Case('G1q all rules, one fault of each kind', 'holds', lambda: build({}, (1, 1, 1))),
    Case('G2 all rules, three captures', 'holds', lambda: build({}, (2, 2, 2), captures=3), quick=False),
    Case('G3 before M7: the tail is fsynced at the start, not written again', 'broken', lambda: build({'tail_fsynced_only': 1}, (1, 1, 1))),
    Case('G4 mutant: the adopted tail is believed', 'broken', lambda: build({'tail_believed': 1}, (1, 1, 0))),
    Case('G5 mutant: fsync again after a failed fsync', 'broken', lambda: build({'fsync_again': 1}, (0, 1, 1))),
    Case('G6 mutant: the add is appended before its pack is durable', 'broken', lambda: build({'add_before_pack': 1}, (0, 1, 0))),
    Case('G7 mutant: the index goes before the fsync', 'broken', lambda: build({'index_before_fsync': 1}, (0, 1, 0))),
    Case('G8 mutant: entries leave before they are durable here', 'broken', lambda: build({'sends_early': 1}, (0, 1, 0))),
    Case('G9 mutant: an adopted pack name is believed', 'broken', lambda: build({'packs_believed': 1}, (1, 1, 0))),
]
