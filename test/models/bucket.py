"""(d) A bucket: one writer with restarts, and two writers with one identity.

One writer (build_one): pack P holds chunk x in the own prefix. Modelled: `s3` and cold by own rows (6.1), store.id, the prefix
emptied or another place under the same name, an object deleted by others, a DELETE that lands after its request
was taken for failed, restarts, a listing against the rows.
Two writers (build_two): twins from one image, or an old incarnation and its successor. put, list, delete (6.1 to 6.4),
also where a listing may be stale, cold demotion by P5 included.
"""

from collections import namedtuple

from search import Case

# place: the store id that answers. packs: pack names there, 1 or 2. rows: packs that the index has, with x. idseen: store id of the rows.
# listed: this process compared a listing with its rows. doomed: names noted durably before their DELETE.
# late: DELETE requests that may still land. held, snap: x is held; a snapshot reaches it. acked: it counts as s3.
One = namedtuple('One', 'place packs rows idseen listed doomed late held snap acked flag captures forgets swaps deletes restarts lates')


def build_one(rules, budget):
    init = One(1, frozenset(), frozenset(), 1, 1, frozenset(), frozenset(), 0, 0, 0, '', *budget)

    def fresh_name(s):
        return min(n for n in range(1, 9) if n not in s.packs and n not in s.doomed and n not in s.late)

    def checked(s):
        """What a job does before it acknowledges or calls anything absent: store.id, and once a process a listing."""
        if s.place != s.idseen and not rules.get('no_store_id'):
            return s._replace(rows=frozenset(), idseen=s.place, listed=0)
        return s

    def listing(s):
        there = frozenset(p for p in s.packs if p not in s.doomed or rules.get('adopts_doomed'))
        return s._replace(rows=there, listed=1)

    def step(s):
        if s.captures and not s.snap:
            n = checked(s)
            if not n.listed and not rules.get('no_listing'):
                n = listing(n)
            n = n._replace(captures=s.captures - 1, held=1, snap=1)
            if n.rows:
                yield f'capture: the rows say that pack {min(n.rows)} has x', n
            else:
                name = fresh_name(s)
                yield f'capture: x is stored again, PUT pack {name}', n._replace(packs=n.packs | {name}, rows=n.rows | {name})
        if s.snap and not s.acked:
            n = checked(s)
            if not n.listed and not rules.get('no_listing'):
                n = listing(n)
            if n.rows:
                yield 'segment PUT, listed clean, the rows have all: counts s3', n._replace(
                    acked=1, flag='' if s.packs else 'counts s3, and no pack with x was there when it counted'
                )
            else:
                name = fresh_name(s)
                yield f'the rows lack x: sent again as pack {name}', n._replace(packs=n.packs | {name}, rows=n.rows | {name})
        if s.snap and s.forgets:
            yield 'forget, release x', s._replace(snap=0, acked=0, held=0, forgets=s.forgets - 1)
        if not s.held and s.rows:
            pack = min(s.rows)
            n = s._replace(rows=s.rows - {pack}, doomed=s.doomed | ({pack} if not rules.get('no_note') else set()))
            yield f'row of pack {pack} dropped, DELETE answered', n._replace(packs=s.packs - {pack})
            if s.lates:
                yield f'row of pack {pack} dropped, DELETE times out, still under way', n._replace(late=s.late | {pack}, lates=s.lates - 1)
        for pack in s.late:
            # The excuse of a foreign deletion is not given: this request was ours.
            n = s._replace(packs=s.packs - {pack}, late=s.late - {pack})
            if s.acked and not n.packs and s.packs:
                n = n._replace(flag=f'acknowledged at s3, and our own late DELETE of pack {pack} took the only one')
            yield f'the late DELETE of pack {pack} lands', n
        if s.restarts:
            yield 'restart', s._replace(listed=0, restarts=s.restarts - 1)
        if s.swaps:
            # A foreign change while nothing is in flight. What counted before is excused.
            yield 'the folder is another one now (unplugged, emptied, made again)', s._replace(
                place=2, packs=frozenset(), acked=0, late=frozenset(), snap=s.snap, swaps=s.swaps - 1
            )
        if s.deletes and s.packs and not s.listed:
            yield 'somebody deletes the objects while the agent is stopped', s._replace(packs=frozenset(), acked=0, deletes=s.deletes - 1)

    def broken(s):
        return s.flag or None

    return init, step, broken


# P: pack there. segs: segments there. seen: segments that a stale listing shows to each. a, b: phases. away: B dropped its own copy of x.
Two = namedtuple('Two', 'pack segs fresh a b away')


def build_two(rules):
    """A releases x and deletes P. B reuses P by its index and counts s3, or drops its own copy by P5 (HEAD of P, then drop)."""
    init = Two(1, frozenset(), frozenset(), 0, 0, 0)

    def sees(s, other):
        # A stale listing may lack what was put last.
        yield other in s.segs
        if rules.get('stale') and other in s.segs and other in s.fresh:
            yield False

    def step(s):
        if s.fresh:
            yield 'the listing catches up', s._replace(fresh=frozenset())
        if s.a == 0:
            yield 'A forgets and releases x', s._replace(a=1)
        if s.a == 1:
            if rules.get('delete_first'):
                yield 'A deletes P before its segment is there', s._replace(pack=0, a=4)
            else:
                yield 'A PUTs its segment with the release', s._replace(segs=s.segs | {'A'}, fresh=s.fresh | {'A'}, a=2)
        if s.a == 2:
            for seen in sees(s, 'B'):
                yield 'A lists: ' + ('sees B, stops' if seen else 'clean'), s._replace(a=9 if seen else 3)
        if s.a == 3:
            yield 'A deletes P', s._replace(pack=0, a=4)
        if s.b == 0:
            yield 'B captures x again, its rows say that P has it', s._replace(b=1)
        if s.b == 1:
            yield 'B PUTs its segment', s._replace(segs=s.segs | {'B'}, fresh=s.fresh | {'B'}, b=2)
        if s.b == 2:
            if rules.get('no_list'):
                yield 'B does not list', s._replace(b=3)
            else:
                for seen in sees(s, 'A'):
                    yield 'B lists: ' + ('sees A, stops' if seen else 'clean'), s._replace(b=9 if seen else 3)
        if s.b == 3 and not (rules.get('stale') and rules.get('stale_counts_nothing')):
            yield 'B counts s3', s._replace(b=4)
        # P5 at the bucket: HEAD of P in this job, then the local copy goes.
        allowed = s.b == 4 or (s.b in (0, 1, 2, 3) and rules.get('p5_without_segment'))
        if allowed and s.pack and not s.away:
            yield 'B: HEAD of P is good, drops its local copy', s._replace(away=1)

    def broken(s):
        if s.b == 4 and not s.pack:
            return 'B counts s3 for a snapshot whose pack was deleted'
        if s.away and not s.pack:
            return 'B dropped its copy of x, and P was deleted'
        return None

    return init, step, broken


CASES = [
    Case('D1 one writer, all rules', 'holds', lambda: build_one({}, (4, 3, 1, 1, 2, 1))),
    Case('D2 before M5: store.id is not read before s3 counts', 'broken', lambda: build_one({'no_store_id': 1}, (1, 0, 1, 0, 0, 0))),
    Case('D3 before M5: rows are not compared with a listing in this process', 'broken', lambda: build_one({'no_listing': 1}, (1, 0, 0, 1, 1, 0))),
    Case('D4 before M6: a pack whose DELETE is under way is adopted again', 'broken', lambda: build_one({'adopts_doomed': 1}, (2, 1, 0, 0, 1, 1))),
    Case('D5 mutant: names are not noted before their DELETE', 'broken', lambda: build_one({'no_note': 1}, (2, 1, 0, 0, 1, 1))),
    Case('D6 two writers, segment, list, delete; P5 after the own segment counted', 'holds', lambda: build_two({})),
    Case('D7 before M5: P5 by a HEAD alone', 'broken', lambda: build_two({'p5_without_segment': 1})),
    Case('D8 a bucket with stale listings', 'broken', lambda: build_two({'stale': 1})),
    Case('D9 a bucket with stale listings counts for nothing', 'holds', lambda: build_two({'stale': 1, 'stale_counts_nothing': 1})),
    Case('D10 mutant: deleted before the segment with the release is there', 'broken', lambda: build_two({'delete_first': 1})),
    Case('D11 mutant: no listing after the PUT', 'broken', lambda: build_two({'no_list': 1})),
]
