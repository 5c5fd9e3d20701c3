"""(c) Hold checkpoints, also a false one; a store that joins by it, hold bodies dropped (8.1 to 8.4, 1.7).

One owner, one shard, ids x and y. H has applied every body; J joins or falls behind and may take checkpoints.
Fault: the owner's index and its parts both forget an id, so that the owner writes a false checkpoint and cannot
see it (a fault of the program or of the medium). Later the owner finds it and writes true ones again.
Truth is the function of adds and releases alone. Grace is one step.
"""

from collections import namedtuple

from search import Case

# chain: ('A', id), ('R', id), ('S', id), ('F', seq), ('C', as-of, ids). blind_spot: id that the owner's files lack.
# bodies_owner, bodies_h: hold bodies up to this seq were dropped there.
# J: jpos position, jheld its state, jmark seq of the checkpoint that its state rests on and did not make itself (0: none),
# jheld_extra: ids in dispute. jframes: frames at J. jc: last checkpoint entry that J has compared or taken.
State = namedtuple(
    'State',
    'chain blind_spot bodies_owner bodies_h hpos jpos jheld jmark jextra jframes jc forgotten acked flag captures forgets checkpoints faults',
)


def state_at(chain, seq):
    held = {}
    for at, entry in enumerate(chain[:seq], 1):
        if entry[0] == 'A':
            held.setdefault(entry[1], at)
        elif entry[0] == 'R':
            held.pop(entry[1], None)
    return held


def live(chain):
    out = {}
    for seq, entry in enumerate(chain, 1):
        if entry[0] == 'S':
            out[seq] = entry[1]
        elif entry[0] == 'F':
            out.pop(entry[1], None)
    return out


def build(rules, budget):
    init = State((), '', 0, 0, 0, 0, (), 0, frozenset(), frozenset(), 0, 0, frozenset(), '', *budget)

    def jstate(s):
        return dict(s.jheld)

    def settle(s, held, **more):
        """J's state becomes held; frames of what it no longer holds go (grace of one step, judged at once)."""
        extra = more.pop('jextra', s.jextra)
        frames = frozenset(f for f in s.jframes if f in held or f in extra)
        return s._replace(jheld=tuple(sorted(held.items())), jframes=frames, jextra=extra, **more)

    def follow(held, entry, seq):
        held = dict(held)
        if entry[0] == 'A':
            held.setdefault(entry[1], seq)
        elif entry[0] == 'R':
            held.pop(entry[1], None)
        return held

    def has_bodies(s, first, last):
        """Somebody still has every hold body in (first, last]."""
        return first >= s.bodies_owner or (s.hpos >= last and first >= s.bodies_h)

    def whole(s, held, frames, pos):
        return min([seq - 1 for i, seq in held.items() if i not in frames], default=pos)

    def step(s):
        n = len(s.chain)
        lives = live(s.chain)
        truth = state_at(s.chain, n)
        # What the owner's index says: the truth without its blind spot.
        index = {i: q for i, q in truth.items() if i != s.blind_spot}
        if s.captures:
            for one in 'xy':
                # The owner looks up its index: an id it forgot is added again, which changes nothing (1.6).
                chain = s.chain + ((('A', one),) if one not in index else ())
                yield f'capture {one}', s._replace(
                    chain=chain + (('S', one),), blind_spot='' if one == s.blind_spot else s.blind_spot, captures=s.captures - 1
                )
        if s.forgets:
            for seq, one in lives.items():
                chain = s.chain + (('F', seq),)
                if not any(o == one for q, o in lives.items() if q != seq) and one in index:
                    chain += (('R', one),)
                yield f'forget {seq}', s._replace(chain=chain, acked=s.acked - {seq}, forgets=s.forgets - 1)
        if s.faults and not s.blind_spot:
            for one in truth:
                yield f'FAULT: index and parts of the owner lose {one}', s._replace(blind_spot=one, faults=s.faults - 1)
        if s.blind_spot:
            yield 'the owner finds its fault, index and parts are made from the chain again', s._replace(blind_spot='')
        if s.checkpoints and n and s.chain[-1][0] != 'C':
            for as_of in {n, n - 1}:
                if as_of < 1:
                    continue
                ids = tuple(sorted((i, q) for i, q in state_at(s.chain, as_of).items() if i != s.blind_spot))
                yield f'hold checkpoint as of {as_of}: {[i for i, _ in ids]}', s._replace(
                    chain=s.chain + (('C', as_of, ids),), checkpoints=s.checkpoints - 1
                )
        # The owner and H drop bodies up to a checkpoint whose parts they made. H only when equal (8.3).
        for seq, entry in enumerate(s.chain, 1):
            if entry[0] != 'C':
                continue
            if entry[1] > s.bodies_owner:
                equal_index = {i: q for i, q in state_at(s.chain, entry[1]).items() if i != s.blind_spot} == dict(entry[2])
                if equal_index:
                    yield f'the owner drops bodies up to {entry[1]}', s._replace(bodies_owner=entry[1])
            if s.hpos >= seq and entry[1] > s.bodies_h:
                true = dict(entry[2]) == state_at(s.chain, entry[1])
                if true or rules.get('drops_unequal'):
                    yield f'H made the parts of checkpoint {seq}, ' + ('equal' if true else 'UNEQUAL') + ', drops bodies', s._replace(
                        bodies_h=entry[1], flag='' if true else 'H dropped the bodies that prove a checkpoint false'
                    )
        if s.hpos < n:
            yield f'H takes entry {s.hpos + 1}', s._replace(hpos=s.hpos + 1)
        # J takes the next entry with its body.
        held = jstate(s)
        if s.jpos < n and has_bodies(s, s.jpos, s.jpos + 1):
            entry = s.chain[s.jpos]
            if not rules.get('waits') or s.jc == s.jpos or not any(e[0] == 'C' for e in s.chain[s.jc : s.jpos]):
                extra = s.jextra - ({entry[1]} if entry[0] == 'R' else set())
                yield f'J applies {s.jpos + 1} {entry[:2]}', settle(s, follow(held, entry, s.jpos + 1), jpos=s.jpos + 1, jextra=extra)
        # J jumps to a checkpoint: it lacks bodies, or chooses to.
        for seq, entry in enumerate(s.chain, 1):
            if entry[0] == 'C' and entry[1] > s.jpos and has_bodies(s, entry[1], seq):
                ids = dict(entry[2])
                true = state_at(s.chain, entry[1])
                second = s.hpos >= seq  # H has its own part digests of this position
                if second and not rules.get('asks_nobody') and ids != true:
                    continue  # the digests differ: the checkpoint is not taken
                held2 = ids
                for at in range(entry[1], seq):
                    held2 = follow(held2, s.chain[at], at + 1)
                extra = s.jextra
                if not second and not rules.get('releases_at_once'):
                    # Nobody vouches: what the jump would release stays in dispute, and is not deleted.
                    passed = {e[1] for e in s.chain[entry[1] : seq] if e[0] == 'R'}
                    extra = extra | ({i for i in held if i not in held2} - passed)
                yield f'J jumps from {s.jpos} to checkpoint {seq}' + (', a second store agrees' if second else ', nobody else to ask'), settle(
                    s, held2, jpos=seq, jmark=0 if second else seq, jextra=frozenset() if second else frozenset(extra), jc=seq
                )
        # J makes the parts of a checkpoint that it has applied.
        for seq, entry in enumerate(s.chain, 1):
            if entry[0] != 'C' or seq > s.jpos or seq <= s.jc or s.jpos != seq:
                continue
            # Simplified: compared right after the entry is applied; the state as of then is rolled back by its bodies.
            before = {i: q for i, q in held.items() if q <= entry[1]}
            for at in range(entry[1], seq):
                e = s.chain[at]
                if e[0] == 'R':
                    before = None  # released in between: compare by the true rest below
                    break
            mine = before if before is not None else None
            if mine is None:
                yield f'J compares checkpoint {seq} later', s._replace(jc=seq)
                continue
            ids = dict(entry[2])
            if mine == ids:
                yield f'J made the parts of checkpoint {seq}: equal', s._replace(jc=seq)
            elif s.jmark and not rules.get('keeps_taken_state'):
                # Its own state rests on parts that it only took: the later checkpoint is taken, nothing is deleted.
                held2 = dict(ids)
                for at in range(entry[1], seq):
                    held2 = follow(held2, s.chain[at], at + 1)
                extra = s.jextra | {i for i in held if i not in held2}
                yield f'J: unequal, its state was only taken: takes checkpoint {seq}', settle(
                    s, held2, jmark=seq, jextra=frozenset(extra), jc=seq
                )
            elif not s.jmark and rules.get('believes_checkpoint'):
                held2 = dict(ids)
                yield f'J: unequal, believes checkpoint {seq}', settle(s, held2, jc=seq)
            else:
                yield f'J: unequal, checkpoint {seq} is false, the chain decides', s._replace(jc=seq)
        for one in set(held) - s.jframes:
            if one in truth:
                yield f'frame {one} reaches J', s._replace(jframes=s.jframes | {one})
        # Acknowledgement of a snapshot at J, for the owner's question.
        w = whole(s, held, s.jframes, s.jpos)
        for seq, one in lives.items():
            if seq <= s.jpos and seq <= w and seq not in s.acked:
                if one in s.jframes:
                    yield f'ACK {seq} at J', s._replace(acked=s.acked | {seq})

    def broken(s):
        if s.flag:
            return s.flag
        lives = live(s.chain)
        for seq in s.acked:
            if seq in lives and lives[seq] not in s.jframes:
                return f'snapshot {seq} was acknowledged at J, and J deleted {lives[seq]}'
        # Once J has applied a true checkpoint after the false one and compared it, what it offers is there.
        held = jstate(s)
        last = max([q for q, e in enumerate(s.chain, 1) if e[0] == 'C'], default=0)
        if last and s.jpos >= last and s.jc >= last and not any(e[0] == 'R' for e in s.chain[s.chain[last - 1][1] :]):
            if dict(s.chain[last - 1][2]) == state_at(s.chain, s.chain[last - 1][1]):
                w = whole(s, held, s.jframes, s.jpos)
                for seq, one in lives.items():
                    if seq <= min(w, s.jpos) and one not in s.jframes:
                        return f'J compared the true checkpoint {last} and offers snapshot {seq}, whose chunk {one} it does not hold'
        return None

    return init, step, broken


CASES = [
    Case('C1 all rules, no fault', 'holds', lambda: build({}, (2, 1, 2, 0)), quick=False),
    Case('C1q all rules, no fault, one checkpoint', 'holds', lambda: build({}, (1, 1, 1, 0))),
    Case('C2 all rules, one false checkpoint, then true ones', 'holds', lambda: build({}, (2, 0, 2, 1)), quick=False),
    Case('C2q the same, one capture', 'holds', lambda: build({}, (1, 0, 2, 1))),
    Case('C3 the same with a forget', 'holds', lambda: build({}, (2, 1, 1, 1)), quick=False),
    Case('C4 before M9: a state that rests on taken parts calls every later checkpoint false', 'broken', lambda: build({'keeps_taken_state': 1}, (2, 0, 2, 1))),
    Case('C5 before M9: a jump releases at once, nobody else to ask', 'broken', lambda: build({'releases_at_once': 1}, (2, 0, 1, 1))),
    Case('C6 mutant: a second store is not asked', 'broken', lambda: build({'asks_nobody': 1, 'releases_at_once': 1}, (2, 0, 1, 1))),
    Case('C7 mutant: the checkpoint is believed against the own bodies', 'broken', lambda: build({'believes_checkpoint': 1}, (1, 0, 1, 1))),
    Case('C8 mutant: bodies are dropped although the parts were unequal', 'broken', lambda: build({'drops_unequal': 1}, (1, 0, 1, 1))),
]
