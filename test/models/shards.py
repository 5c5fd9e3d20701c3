"""(e) Shards and holders: a chunk that two roots reach, headers apart from hold bodies, lists, statements that arrive late.

Root 0 reaches x, or x and y. Root 1 reaches x. Each root has a shard. A root may begin a new shard (9.1, or moved by policy).
Holders answer a question that was asked at some position. The owner uses the answer later (5.1 to 5.3).
Modelled: capture with look-ups and by an unchanged row, forget and release by shard, losses here and there, giving up.
An acknowledgement peers=N needs N covered holders, each by its one newest statement.
"""

from collections import namedtuple

from search import Case

# chain: ('A', shard, id), ('R', shard, id), ('S', shard, reach, root), ('F', seq), ('D', seqs)
# roots: the present shard of each root. own: frames here. holders: per holder Holder. stmts: per holder Stmt or None.
State = namedtuple('State', 'chain roots own holders stmts flag captures forgets own_losses losses moves')
# pos: headers. bodies: per shard, how many of its hold bodies are here. gone: lost since the statement (ghost).
Holder = namedtuple('Holder', 'pos bodies frames gone')
# question: length of the owner's chain when it asked (0: not yet used up). shards: per shard (applied, whole, list).
Stmt = namedtuple('Stmt', 'question pos shards')
SHARDS = 3
REACH = {0: (frozenset('x'), frozenset('xy')), 1: (frozenset('x'),)}


def held(chain, shard, upto=None):
    out = {}
    for seq, e in enumerate(chain[:upto], 1):
        if e[0] == 'A' and e[1] == shard:
            out.setdefault(e[2], seq)
        elif e[0] == 'R' and e[1] == shard:
            out.pop(e[2], None)
    return out


def live(chain):
    out = {}
    damaged = set()
    for seq, e in enumerate(chain, 1):
        if e[0] == 'S':
            out[seq] = e
        elif e[0] == 'F':
            out.pop(e[1], None)
        elif e[0] == 'D':
            damaged |= set(e[1])
    return out, damaged


def build(rules, budget, count=1, level=1, roots=(0, 1)):
    empty = Holder(0, (0,) * SHARDS, frozenset(), frozenset())
    init = State((), (0, 1), frozenset(), (empty,) * count, (None,) * count, '', *budget)

    def applied(chain, h, shard):
        seen = 0
        for seq, e in enumerate(chain[: h.pos], 1):
            if e[0] in 'AR' and e[1] == shard:
                seen += 1
                if seen > h.bodies[shard]:
                    return seq - 1
        return h.pos

    def view(chain, h, shard):
        a = applied(chain, h, shard)
        state = held(chain, shard, a)
        missing = frozenset(i for i in state if i not in h.frames)
        return a, min([state[i] - 1 for i in missing], default=a), missing

    def step(s):
        n = len(s.chain)
        lives, damaged = live(s.chain)
        if s.captures:
            for root in roots:
                shard = s.roots[root]
                for reach in REACH[root]:
                    here = held(s.chain, shard)
                    if rules.get('add_once'):
                        here = {i for k in range(SHARDS) for i in held(s.chain, k)}
                    chain = s.chain + tuple(('A', shard, i) for i in sorted(reach) if i not in here) + (('S', shard, reach, root),)
                    yield f'capture root {root} {sorted(reach)}, shard {shard}, as {len(chain)}', s._replace(
                        chain=chain, own=s.own | reach, captures=s.captures - 1
                    )
                rows = [q for q, e in lives.items() if e[3] == root and q not in damaged]
                if rows:
                    row = lives[max(rows)]
                    if row[1] == shard or rules.get('row_of_any_shard'):
                        yield f'capture root {root} by the unchanged row of {max(rows)}, shard {shard}', s._replace(
                            chain=s.chain + (('S', shard, row[2], root),), captures=s.captures - 1
                        )
        if s.moves:
            yield 'root 0 begins the new shard 2', s._replace(roots=(2, 1), moves=s.moves - 1)
        if s.forgets:
            for q, e in lives.items():
                chain = s.chain + (('F', q),)
                for i in sorted(e[2]):
                    others = [o for p, o in lives.items() if p != q and i in o[2] and o[1] == e[1]]
                    if not others and i in held(s.chain, e[1]):
                        chain += (('R', e[1], i),)
                yield f'forget {q}', s._replace(chain=chain, forgets=s.forgets - 1)
        if s.own_losses:
            for i in s.own:
                yield f'the owner loses {i}', s._replace(own=s.own - {i}, own_losses=s.own_losses - 1)
        for i in 'xy':
            shards = [k for k in range(SHARDS) if i in held(s.chain, k)]
            if shards and i not in s.own and not any(i in h.frames for h in s.holders):
                hit = tuple(q for q, e in sorted(lives.items()) if i in e[2])
                record = (('D', hit),) if hit else ()
                yield f'give-up of {i}', s._replace(chain=s.chain + record + tuple(('R', k, i) for k in shards))
        for at, h in enumerate(s.holders):

            def put(new, **more):
                return s._replace(holders=tuple(new if j == at else x for j, x in enumerate(s.holders)), **more)

            def sweep(new):
                kept = set()
                for k in range(SHARDS):
                    kept |= set(held(s.chain, k, applied(s.chain, new, k)))
                held_before = set()
                for k in range(SHARDS):
                    held_before |= set(held(s.chain, k, applied(s.chain, h, k)))
                if rules.get('drops_by_shard'):
                    for k in range(SHARDS):
                        dropped = set(held(s.chain, k, applied(s.chain, h, k))) - set(held(s.chain, k, applied(s.chain, new, k)))
                        kept -= dropped
                return new._replace(frames=frozenset(f for f in new.frames if f in kept or f not in held_before))

            if h.pos < n:
                yield f'H{at} takes header {h.pos + 1} {s.chain[h.pos][0]}', put(h._replace(pos=h.pos + 1))
            for k in range(SHARDS):
                if h.bodies[k] < sum(1 for e in s.chain[: h.pos] if e[0] in 'AR' and e[1] == k):
                    new = h._replace(bodies=tuple(b + (j == k) for j, b in enumerate(h.bodies)))
                    yield f'H{at} takes a body of shard {k}', put(sweep(new))
                for i in view(s.chain, h, k)[2]:
                    if i in s.own:
                        yield f'H{at} gets {i}', put(h._replace(frames=h.frames | {i}))
            if s.losses:
                for i in h.frames:
                    yield f'H{at} loses {i}', put(h._replace(frames=h.frames - {i}, gone=h.gone | {i}), losses=s.losses - 1)
            old = s.stmts[at]

            def say(new):
                return tuple(new if j == at else x for j, x in enumerate(s.stmts))

            if n and (old is None or old.pos or old.question != n):
                yield f'the owner asks H{at} at {n}', s._replace(stmts=say(Stmt(n, 0, ())))
            if old and not old.pos and h.pos:
                shards = tuple(view(s.chain, h, k) for k in range(SHARDS))
                if rules.get('no_list'):
                    shards = tuple((a, w, None) for a, w, _ in shards)
                yield f'H{at} answers: position {h.pos}, {[(a, w, sorted(m or ())) for a, w, m in shards]}', put(
                    h._replace(gone=frozenset()), stmts=say(Stmt(old.question, h.pos, shards))
                )

    def covered(s, q, e, stmt):
        if not stmt or not stmt.pos or stmt.pos < q:
            return False
        if stmt.question < q:
            return False
        a, w, missing = stmt.shards[e[1]]
        if rules.get('list_without_applied'):
            return q <= w or not (e[2] & missing)
        if rules.get('other_list'):
            missing = frozenset()
        return q <= a and (q <= w or (missing is not None and not (e[2] & missing)))

    def broken(s):
        lives, damaged = live(s.chain)
        for q, e in lives.items():
            if q in damaged and not rules.get('damaged_counts'):
                continue
            if not e[2] <= set(held(s.chain, e[1])) and q not in damaged:
                return f'snapshot {q} reaches ids that are not held in its shard {e[1]}'
            yes = [at for at, stmt in enumerate(s.stmts) if covered(s, q, e, stmt)]
            if len(yes) < level:
                continue
            for at in yes:
                h = s.holders[at]
                lack = e[2] - h.frames - h.gone
                if lack:
                    return f'peers={level}: snapshot {q} counts at H{at}, which lacks {sorted(lack)}'
        return None

    return init, step, broken


CASES = [
    Case('E1 one holder, two roots, two captures, a loss each', 'holds', lambda: build({}, (2, 0, 1, 1, 0)), quick=False),
    Case('E2 one holder, two roots, two captures, two forgets', 'holds', lambda: build({}, (2, 2, 0, 0, 0)), quick=False),
    Case('E3 one holder, a root begins a new shard, two captures, a forget', 'holds', lambda: build({}, (2, 1, 0, 0, 1), roots=(0,)), quick=False),
    Case('E4 two holders, peers=2, one capture, a loss each', 'holds', lambda: build({}, (1, 0, 1, 1, 0), count=2, level=2, roots=(1,)), quick=False),
    Case('E4p two holders, peers=2, one capture', 'holds', lambda: build({}, (1, 0, 0, 0, 0), count=2, level=2, roots=(1,))),
    Case('E4q one holder, two captures', 'holds', lambda: build({}, (2, 1, 0, 0, 0), roots=(1,))),
    Case('E5 before M3: an unchanged row of a snapshot of another shard', 'broken', lambda: build({'row_of_any_shard': 1}, (2, 0, 0, 0, 1), roots=(0,))),
    Case('E7 mutant: the list is believed without applied(k)', 'broken', lambda: build({'list_without_applied': 1}, (1, 0, 0, 0, 0))),
    Case('E8 mutant: the list of another statement is used', 'broken', lambda: build({'other_list': 1}, (1, 0, 0, 0, 0))),
    Case('E10 mutant: a release in one shard drops a frame that another holds', 'broken', lambda: build({'drops_by_shard': 1}, (2, 1, 0, 0, 0)), quick=False),
    Case('E11 mutant: a chunk that two roots reach is added in one shard only', 'broken', lambda: build({'add_once': 1}, (2, 0, 0, 0, 0))),
    Case('E12 mutant: a damaged snapshot counts', 'broken', lambda: build({'damaged_counts': 1}, (1, 0, 1, 0, 0), roots=(1,))),
]
