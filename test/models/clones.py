"""(f) Machines put back and machines copied: owner and holder; statements with nonce, start id and epoch (4.1 to 4.3, 2.6, 2.7, 5.2).

One chunk x. Owner machines: 0, and 1 when an image of 0 was started beside it. Holder machines in the same way. They share
identity, store id and, when memory was copied too, the start id. A request to "the holder" reaches any of its machines.
Checked: an acknowledgement by machine o, given for the answer of holder machine h, stays true at h until the snapshot is
forgotten on a line that has it, or h itself is put back. No machine that was never put back or copied stops.
"""

from collections import namedtuple

from search import Case

# Owner: chain, live snapshots are those not forgotten; stopped: 2.7. question: its number when its newest nonce is open.
Owner = namedtuple('Owner', 'chain stopped question belief')
# Holder: chain, frame, store epoch, start id.
Holder = namedtuple('Holder', 'chain frame epoch start')
# answers: in flight, (question, chain at the position, whole, epoch, start, holder machine). Question 0: an older nonce.
State = namedtuple('State', 'owners holders oimage himage answers acked clean flag next captures forgets obacks ocopies hbacks hcopies restarts losses')


def held(chain):
    added = 0
    for seq, e in enumerate(chain, 1):
        if e[0] == 'A' and not added:
            added = seq
        elif e[0] == 'R':
            added = 0
    return added


def live(chain):
    out = set()
    for seq, e in enumerate(chain, 1):
        if e[0] == 'S':
            out.add(seq)
        elif e[0] == 'F':
            out.discard(e[1])
    return out


def build(rules, budget):
    owner = Owner((), 0, 0, None)
    holder = Holder((), 0, 1, 1)
    init = State((owner,), (holder,), None, None, frozenset(), frozenset(), 1, '', 2, *budget)

    def step(s):
        for o, own in enumerate(s.owners):

            def put(new, **more):
                return s._replace(owners=tuple(new if j == o else x for j, x in enumerate(s.owners)), **more)

            if s.captures:
                chain = own.chain + (() if held(own.chain) else (('A', s.next),)) + (('S', s.next),)
                yield f'owner {o} captures x as {len(chain)}', put(own._replace(chain=chain), captures=s.captures - 1, next=s.next + 1)
            if s.forgets and live(own.chain):
                lives = live(own.chain)
                for seq in sorted(lives):
                    chain = own.chain + (('F', seq, s.next),) + ((('R', s.next),) if len(lives) == 1 else ())
                    # Ghost: a forget ends each acknowledgement of that snapshot on this line.
                    line = own.chain[:seq]
                    acked = frozenset(a for a in s.acked if not (a[0] == line and a[1] == o))
                    yield f'owner {o} forgets {seq}', put(own._replace(chain=chain), acked=acked, forgets=s.forgets - 1, next=s.next + 1)
            if (not own.question or rules.get('any_nonce')) and own.chain:
                # The nonce is fresh: an answer to an older question is stale from here on.
                stale = frozenset((0, *a[1:]) if a[0] == o + 1 else a for a in s.answers) if rules.get('any_nonce') else frozenset(
                    a for a in s.answers if a[0] != o + 1
                )
                yield f'owner {o} asks with a fresh nonce', put(own._replace(question=o + 1), answers=stale)
            for a in s.answers:
                nonce, chain, whole, epoch, start, h = a
                mine = nonce == own.question or rules.get('any_nonce')
                if not mine:
                    continue
                rest = s.answers - {a}
                if chain != own.chain[: len(chain)]:
                    if not rules.get('counts_ahead'):
                        new = own._replace(stopped=1, question=0, belief=None)
                        flag = ''
                        if s.clean:
                            flag = f'owner {o} stops, and nobody was put back or copied'
                        yield f'owner {o}: the answer is not on the own trail, stops', put(new, answers=rest, flag=flag)
                        continue
                if own.stopped and not rules.get('stopped_counts'):
                    continue
                good = {own.chain[:q] for q in live(own.chain) if q <= whole and q <= len(chain)}
                if rules.get('counts_ahead'):
                    good = {own.chain[:q] for q in live(own.chain) if q <= whole}
                name = f'owner {o} counts the answer of holder machine {h}: whole {whole}'
                yield name, put(
                    own._replace(question=0, belief=(chain, whole, epoch, start)),
                    answers=rest,
                    acked=s.acked | {(line, o, h) for line in good},
                )
            if rules.get('cached') and own.belief and not own.stopped:
                chain, whole, epoch, start = own.belief
                for h, hold in enumerate(s.holders):
                    if hold.epoch == epoch and (hold.start == start or rules.get('no_start')):
                        good = {own.chain[:q] for q in live(own.chain) if q <= whole and q <= len(chain)}
                        new = frozenset((line, o, h) for line in good)
                        if new - s.acked:
                            yield f'owner {o} counts a cached statement, equal epoch and start id at holder machine {h}', s._replace(acked=s.acked | new)
            # Entries and frames to a holder machine. It is asked before (2.6).
            for h, hold in enumerate(s.holders):

                def hput(new, **more):
                    return s._replace(holders=tuple(new if j == h else x for j, x in enumerate(s.holders)), **more)

                on = hold.chain == own.chain[: len(hold.chain)]
                if own.stopped:
                    continue
                if not on:
                    flag = f'owner {o} stops, and nobody was put back or copied' if s.clean else ''
                    yield f'owner {o} asks holder machine {h} before it sends: not on the own trail, stops', put(
                        own._replace(stopped=1, question=0, belief=None), flag=flag
                    )
                    if rules.get('number_only') and len(hold.chain) < len(own.chain):
                        chain = hold.chain + (own.chain[len(hold.chain)],)
                        yield f'holder machine {h} takes {len(chain)} of owner {o} by its number', hput(hold._replace(chain=chain, frame=hold.frame if held(chain) else 0))
                    continue
                if len(hold.chain) < len(own.chain):
                    chain = own.chain[: len(hold.chain) + 1]
                    yield f'holder machine {h} takes {len(chain)} {chain[-1][0]} of owner {o}', hput(
                        hold._replace(chain=chain, frame=hold.frame if held(chain) else 0)
                    )
                if held(hold.chain) and not hold.frame and held(own.chain):
                    yield f'holder machine {h} gets x from owner {o}', hput(hold._replace(frame=1))
            # Answer to an open question, by any machine that answers to the name.
            if own.question:
                for h, hold in enumerate(s.holders):
                    if any(a[0] == own.question for a in s.answers):
                        continue
                    whole = len(hold.chain) if not held(hold.chain) or hold.frame else held(hold.chain) - 1
                    a = (own.question, hold.chain, whole, hold.epoch, hold.start, h)
                    yield f'holder machine {h} answers owner {o}: position {len(hold.chain)}, whole {whole}', s._replace(answers=s.answers | {a})
        if s.obacks:
            if s.oimage is None:
                yield 'image of owner 0', s._replace(oimage=s.owners[0])
            elif s.oimage.chain != s.owners[0].chain or s.oimage.belief != s.owners[0].belief:
                new = s.oimage._replace(question=0)
                yield 'OWNER 0 PUT BACK', s._replace(
                    owners=(new,) + s.owners[1:], clean=0, obacks=s.obacks - 1
                )
        if s.ocopies and len(s.owners) == 1:
            yield 'OWNER COPIED', s._replace(owners=s.owners + (s.owners[0]._replace(question=0),), clean=0, ocopies=s.ocopies - 1)
        if s.hbacks:
            if s.himage is None and s.holders[0].chain:
                yield 'image of holder machine 0', s._replace(himage=s.holders[0])
            elif s.himage and s.himage != s.holders[0]:
                # The disk goes back, the epoch file with it. The process begins anew.
                new = s.himage._replace(start=s.next)
                yield 'HOLDER MACHINE 0 PUT BACK', s._replace(
                    holders=(new,) + s.holders[1:],
                    clean=0,
                    hbacks=s.hbacks - 1,
                    next=s.next + 1,
                    acked=frozenset(a for a in s.acked if a[2] != 0),
                    # An answer to a question that is still open was true when it was given: counted and lost is the same.
                    answers=frozenset(a for a in s.answers if a[5] != 0 or not a[0]),
                )
        if s.hcopies and len(s.holders) == 1 and s.holders[0].chain:
            same = s.holders[0]
            yield 'HOLDER COPIED with its memory', s._replace(holders=(same, same), clean=0, hcopies=s.hcopies - 1)
            yield 'HOLDER COPIED, new process', s._replace(
                holders=(same, same._replace(start=s.next)), clean=0, hcopies=s.hcopies - 1, next=s.next + 1
            )
        if s.restarts:
            for h, hold in enumerate(s.holders):
                yield f'holder machine {h} restarts', s._replace(
                    holders=tuple(x._replace(start=s.next) if j == h else x for j, x in enumerate(s.holders)),
                    restarts=s.restarts - 1,
                    next=s.next + 1,
                )
        if s.losses:
            for h, hold in enumerate(s.holders):
                if hold.frame:
                    # 4.1: the epoch is raised and durable before the mark.
                    yield f'holder machine {h} loses x', s._replace(
                        holders=tuple(x._replace(frame=0, epoch=x.epoch + 1) if j == h else x for j, x in enumerate(s.holders)),
                        losses=s.losses - 1,
                        acked=frozenset(a for a in s.acked if a[2] != h),
                        answers=frozenset(a for a in s.answers if a[5] != h),
                    )

    def broken(s):
        if s.flag:
            return s.flag
        for line, o, h in s.acked:
            # A copy that goes another way: entries of the twin may forget for both, on a line that has the snapshot.
            hold = s.holders[h]
            if hold.chain[: len(line)] == line and len(line) not in live(hold.chain):
                other = [own for own in s.owners if own.chain[: len(hold.chain)] == hold.chain]
                if other and any(len(line) not in live(own.chain) for own in other):
                    continue  # forgotten on a line that has it, by a twin
            if not hold.frame or hold.chain[: len(line)] != line:
                return f'snapshot {len(line)} of owner {o} was acknowledged by holder machine {h}, which has not got it'
        return None

    return init, step, broken


CASES = [
    Case('F1 owner put back, a forget', 'holds', lambda: build({}, (2, 1, 1, 0, 0, 0, 0, 0))),
    Case('F2 owner copied, a forget', 'holds', lambda: build({}, (2, 1, 0, 1, 0, 0, 0, 0)), quick=False),
    Case('F3 holder put back, loss, restart', 'holds', lambda: build({}, (1, 0, 0, 0, 1, 0, 1, 1))),
    Case('F4 holder copied, with or without memory, a forget', 'holds', lambda: build({}, (2, 1, 0, 0, 0, 1, 0, 0)), quick=False),
    Case('F5 owner and holder put back, one capture, a forget', 'holds', lambda: build({}, (1, 1, 1, 0, 1, 0, 0, 0)), quick=False),
    Case('F5b owner and holder put back, two captures', 'holds', lambda: build({}, (2, 0, 1, 0, 1, 0, 0, 0)), quick=False),
    Case('F6 owner and holder copied, one capture', 'holds', lambda: build({}, (1, 0, 0, 1, 0, 1, 0, 0)), quick=False),
    Case('F7 mutant: a cached statement counts, equal epoch (holder put back)', 'broken', lambda: build({'cached': 1, 'no_start': 1}, (1, 0, 0, 0, 1, 0, 0, 0))),
    Case('F8 mutant: a cached statement counts, equal epoch and start id (holder copied with its memory)', 'broken', lambda: build({'cached': 1}, (1, 0, 0, 0, 0, 1, 0, 0))),
    Case('F9 mutant: a position that is not on the own trail counts', 'broken', lambda: build({'counts_ahead': 1}, (1, 1, 1, 0, 0, 0, 0, 0))),
    Case('F10 mutant: a holder takes entries by their number', 'broken', lambda: build({'number_only': 1}, (2, 1, 1, 0, 0, 0, 0, 0))),
    Case('F11 mutant: any statement counts, whatever its nonce', 'broken', lambda: build({'any_nonce': 1}, (1, 0, 0, 0, 1, 0, 0, 0))),
]
