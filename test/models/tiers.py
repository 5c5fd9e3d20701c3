"""(a) The owner's own store with tiers: here, away, missing, and unknown after a rebuild.

One chunk x, one file in a root, one ranked holder T. The policy wants one copy elsewhere.
Modelled: capture by a look-up and by an unchanged row (2.2), forget and release (2.9), demotion as a job of
three steps: statement, re-read, drop (P5), giving up (2.10), grace at T, loss of a frame here and at T,
a rebuild of the owner's index, an owner put back to an image.
Not modelled: cold (it behaves like here, with the rules of bucket.py), sessions (see collect.py).
"""

from collections import namedtuple

from search import Case

# chain: tuple of entries. 'A' add, 'R' release, 'S' snapshot, ('F', n) forget, ('D', numbers) damaged. Seq = place + 1.
# job: added seq of x when the demotion began, negative until T has re-read the bytes.
# acked: snapshots that were acknowledged `local`, live, not damaged, and not excused by a loss of the medium.
State = namedtuple(
    'State', 'chain here file row job belief tpos tchain tframe acked image stopped flag captures forgets own_losses t_losses backs rebuilds'
)


def held(chain):
    added = 0
    for seq, entry in enumerate(chain, 1):
        if entry == 'A' and not added:
            added = seq
        elif entry == 'R':
            added = 0
    return added


def live(chain):
    out = set()
    damaged = set()
    for seq, entry in enumerate(chain, 1):
        if entry == 'S':
            out.add(seq)
        elif entry[0] == 'F':
            out.discard(entry[1])
        elif entry[0] == 'D':
            damaged |= set(entry[1])
    return out, damaged


def build(rules, budget):
    captures, forgets, own_losses, t_losses, backs, rebuilds = budget
    init = State((), 0, 1, 0, 0, None, 0, (), 0, frozenset(), None, 0, '', captures, forgets, own_losses, t_losses, backs, rebuilds)

    def on_trail(s):
        return s.tchain == s.chain[: len(s.tchain)]

    def away_or_better(s):
        """What the owner knows: here, or placed at T by its newest statement."""
        if s.here:
            return 'here'
        if s.belief is None:
            return 'unknown'
        applied, present = s.belief
        return 'away' if present and held(s.chain) and held(s.chain) <= applied else 'missing'

    def acknowledge(s, chain):
        seq = len(chain)
        # A copy that T lost without having said so is a loss of the medium. A machine that was put back and was
        # not yet told so rests on its belief (4.2): such an acknowledgement is not counted here.
        counts = s.here or (s.tframe and on_trail(s))
        return s._replace(chain=chain, acked=s.acked | {seq} if counts else s.acked, row=seq)

    def step(s):
        lives, damaged = live(s.chain)
        if s.captures:
            c = s.captures - 1
            if s.file:
                n = s._replace(captures=c)
                chain = s.chain
                known = s.here if not rules.get('lookup_counts_away') else (s.here or away_or_better(s) == 'away')
                if not known or not held(chain):
                    # "Stored" is not "held": a frame that is here may be used, the add is always made.
                    n = n._replace(here=1)
                if not held(chain):
                    chain += ('A',)
                n = acknowledge(n, chain + ('S',))
                if not n.here:
                    n = n._replace(flag='a looked-up chunk is acknowledged local, its bytes were at hand and are not here')
                yield 'capture reads the file' + (', stores x' if n.here > s.here else '') + (', adds x' if len(n.chain) > len(s.chain) + 1 else ''), n
                verified = s.tframe and on_trail(s) and held(s.tchain) == held(s.chain) and not s.stopped
                if held(s.chain) and not s.here and verified:
                    # Equal to storing x again and dropping it by P5 at once.
                    yield 'capture reads the file, P5 for x is answered in this job: not stored again', acknowledge(
                        s._replace(captures=c), s.chain + ('S',)
                    )
            if s.row and s.row in lives and s.row not in damaged:
                where = away_or_better(s)
                if where in ('here', 'away') or not rules.get('missing_voids_rows'):
                    n = acknowledge(s._replace(captures=c), s.chain + ('S',))
                    if s.stopped and not s.here:
                        n = n._replace(flag='a put-back owner that knows it acknowledges by a row whose chunk is not here')
                    if where in ('missing', 'unknown'):
                        n = n._replace(flag='acknowledged local while the owner knows that x is not here and not away')
                    yield f'capture uses the unchanged row ({where})', n
        if s.forgets:
            for seq in sorted(lives):
                chain = s.chain + (('F', seq),)
                here = s.here
                if len(lives) == 1 and held(chain):
                    chain += ('R',)
                    # The frame may stay in its pack until compaction.
                    yield f'forget {seq}, release x, compaction later', s._replace(chain=chain, acked=s.acked - {seq}, forgets=s.forgets - 1)
                    here = 0
                yield f'forget {seq}' + (', release and drop x' if chain[-1] == 'R' else ''), s._replace(
                    chain=chain, here=here, acked=s.acked - {seq}, forgets=s.forgets - 1
                )
        # Holder T.
        if not s.stopped and on_trail(s) and len(s.tchain) < len(s.chain):
            yield f'T takes entry {len(s.tchain) + 1} {s.chain[len(s.tchain)]}', s._replace(tchain=s.chain[: len(s.tchain) + 1])
        if held(s.tchain) and not s.tframe and s.here:
            yield 'T gets the frame', s._replace(tframe=1)
        if s.tframe and not held(s.tchain):
            yield 'the grace of x ends at T', s._replace(tframe=0)
        if s.t_losses and s.tframe:
            yield 'T loses the frame', s._replace(tframe=0, t_losses=s.t_losses - 1, acked=s.acked if s.here else frozenset())
        if s.own_losses and s.here:
            yield 'the owner loses its frame', s._replace(
                here=0, own_losses=s.own_losses - 1, acked=s.acked if s.tframe and on_trail(s) and held(s.tchain) == held(s.chain) else frozenset()
            )
        if not s.stopped:
            if on_trail(s):
                belief = (len(s.tchain), s.tframe if held(s.tchain) else 1)
                if belief != s.belief:
                    yield f'statement of T: applied {belief[0]}, ' + ('nothing missing' if belief[1] else 'x is lost'), s._replace(belief=belief)
            else:
                yield 'T is ahead, proved: the owner stops', s._replace(
                    stopped=1, belief=None if rules.get('stop_voids_beliefs') else s.belief
                )
        # Demotion, a job of three steps: statement, bytes, drop.
        if s.here and held(s.chain) and not s.job and not s.stopped:
            placed = on_trail(s) and held(s.tchain) and held(s.chain) == held(s.tchain)
            if placed or not rules.get('p5_asks_held'):
                yield 'demote: statement of T' + (', x is held there' if placed else ''), s._replace(job=-held(s.chain))
        if s.job < 0 and s.tframe:
            yield 'demote: T re-reads x, equal', s._replace(job=-s.job)
        if s.job > 0:
            same = held(s.chain) == s.job or not rules.get('p5_looks_again')
            # T lost the verified frame in place while the job ran: a loss of the medium.
            lost = same and not s.tframe and held(s.tchain) == held(s.chain)
            yield 'demote: drops x here' if same else 'demote: x was released or added since, stays', s._replace(
                here=0 if same else s.here, job=0, acked=frozenset() if lost else s.acked, belief=(len(s.tchain), 1) if same and on_trail(s) else s.belief
            )
        # Giving up, in one job: T answered in this job. Absent means: no frame of that id at all.
        if held(s.chain) and not s.here and not s.tframe and s.job <= 0 and not s.stopped:
            if s.file:
                yield 'give-up: x is read from the file again', s._replace(here=1)
            else:
                record = () if rules.get('no_damaged_record') or not lives else (('D', tuple(sorted(lives))),)
                yield 'give-up: damaged record and release', s._replace(chain=s.chain + record + ('R',), acked=s.acked - lives, row=0)
        if s.file:
            yield 'the file goes', s._replace(file=0)
        if s.rebuilds:
            yield 'the owner rebuilds its index', s._replace(belief=None, row=0, job=0, rebuilds=s.rebuilds - 1)
        if s.backs:
            mine = (s.chain, s.here, s.row, s.belief, s.acked)
            if s.image is None:
                yield 'image of the owner', s._replace(image=mine)
            elif s.image != mine:
                chain, here, row, belief, acked = s.image
                # What the machine acknowledged before the image has to stand again after the put-back.
                ok = acked if here else acked & s.acked if s.tframe else frozenset()
                yield 'OWNER PUT BACK', s._replace(
                    chain=chain, here=here, row=row, acked=ok, belief=belief, job=0, backs=s.backs - 1
                )

    def broken(s):
        if s.flag:
            return s.flag
        lives, damaged = live(s.chain)
        if lives - damaged and not held(s.chain):
            return f'snapshots {sorted(lives - damaged)} reach x, not damaged, and x is not held'
        if s.acked and not s.here and not s.tframe:
            return f'snapshots {sorted(s.acked)} are acknowledged, nobody lost x, and x is nowhere'
        return None

    return init, step, broken


ALL = {'p5_asks_held': 1, 'p5_looks_again': 1, 'missing_voids_rows': 1, 'stop_voids_beliefs': 1}


def without(rule):
    return {key: value for key, value in ALL.items() if key != rule}


CASES = [
    Case('A1 all rules: captures, forgets, a loss each', 'holds', lambda: build(ALL, (3, 2, 1, 1, 0, 0)), quick=False),
    Case('A1q the same, two captures, one forget', 'holds', lambda: build(ALL, (2, 1, 1, 1, 0, 0))),
    Case('A2 all rules: owner put back', 'holds', lambda: build(ALL, (2, 2, 0, 0, 1, 0)), quick=False),
    Case('A2q the same, one forget', 'holds', lambda: build(ALL, (2, 1, 0, 0, 1, 0))),
    Case('A3 all rules: rebuild of the index, losses', 'holds', lambda: build(ALL, (3, 1, 1, 2, 0, 1)), quick=False),
    Case('A4 all rules: put back, a loss, a rebuild', 'holds', lambda: build(ALL, (2, 1, 1, 0, 1, 1)), quick=False),
    Case('A5 before M1: P5 verifies bytes only', 'broken', lambda: build(without('p5_asks_held'), (2, 1, 0, 0, 0, 0))),
    Case('A6 before M1: the same, owner put back', 'broken', lambda: build(without('p5_asks_held'), (1, 1, 0, 0, 1, 0))),
    Case('A7 before M1: the drop does not look again', 'broken', lambda: build(without('p5_looks_again'), (3, 2, 0, 0, 0, 0))),
    Case('A8 before M3: an unchanged row passes while x is known to be missing', 'broken', lambda: build(without('missing_voids_rows'), (2, 0, 0, 1, 0, 0))),
    Case('A11 mutant: beliefs stay when the owner learns that it was put back', 'broken', lambda: build(without('stop_voids_beliefs'), (2, 1, 0, 0, 1, 0))),
    Case('A9 mutant: a looked-up chunk may be away', 'broken', lambda: build({**ALL, 'lookup_counts_away': 1}, (2, 0, 0, 0, 0, 0))),
    Case('A10 mutant: give-up without the damaged record', 'broken', lambda: build({**ALL, 'no_damaged_record': 1}, (1, 0, 1, 0, 0, 0))),
]
