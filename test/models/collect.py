"""(h) Collection beside captures and giving up: claims, marks, a restart in between (2.8 to 2.10).

One chunk x, reached by snapshot 0. A capture records snapshot 1 by an unchanged row or by a look-up. A release is one
turn of the append queue: mark, append with fsync, apply. A gc may go on after a restart from its saved walk.
Giving up runs beside it: every store answered absent, the record damaged and the release are one append.
"""

from collections import namedtuple

from search import Case

# s0, s1: live. damaged: snapshots with a damaged record. held, stored, mark: x. claim: 0 none, 1 looked up, 2 through snapshot 0.
# capture: 0 none, 1 begun with base, 2 begun without, 3 stored and add follows, 4 relies on x, 5 recorded, 6 ended.
# phase of gc: 0 none, 1 walked, 2 marked, 3 release appended. saw: the walk saw x live. new: recorded since the walk.
State = namedtuple('State', 's0 s1 damaged held stored mark claim capture phase saw give kills losses passes')


def build(rules, budget):
    init = State(1, 0, frozenset(), 1, 1, 0, 0, 0, 0, 0, 0, *budget)

    def ended(s):
        """Claims go when their session and every gc that was open at its end have ended."""
        return s._replace(claim=0) if s.capture == 6 else s

    def step(s):
        if s.s0:
            yield 'forget snapshot 0', s._replace(s0=0)
        if s.capture == 0:
            if s.s0 and 0 not in s.damaged:
                yield 'capture begins, claims snapshot 0', s._replace(capture=1, claim=0 if rules.get('no_base_claim') else 2)
            yield 'capture begins without a base', s._replace(capture=2)
        if s.capture == 1 and (0 not in s.damaged):
            yield 'capture: folder unchanged', s._replace(capture=4)
        if s.capture in (1, 2):
            known = s.held and s.stored and (not s.mark or rules.get('ignores_mark'))
            if known:
                yield 'capture looks x up: known', s._replace(capture=4, claim=max(1, s.claim))
            else:
                yield 'capture stores x again' + ('' if s.held and not s.mark else ', an add follows'), s._replace(
                    capture=4 if s.held and not s.mark else 3, stored=1, claim=max(1, s.claim)
                )
        if s.capture == 3 and (s.phase not in (2, 3) or rules.get('add_in_turn')):
            yield 'add of x appended', s._replace(capture=4, held=1, mark=0)
        if s.capture == 4:
            yield 'record of snapshot 1', s._replace(capture=5, s1=1)
        if s.capture == 5:
            keep = s.phase in (1, 2, 3) and not rules.get('claims_end')
            yield 'session ends', s._replace(capture=6, claim=s.claim if keep else 0)
        if s.passes and s.phase == 0:
            live = (s.s0 and 0 not in s.damaged) or (s.s1 and 1 not in s.damaged) or s.s0 or s.s1
            yield 'gc walks', s._replace(phase=1, saw=1 if live else 0, passes=s.passes - 1)
        if s.phase == 1:
            if s.saw or s.claim or not s.held:
                yield 'gc keeps x', ended(s._replace(phase=0, saw=0))
            else:
                yield 'gc marks x', s._replace(phase=2, mark=1)
        if s.phase == 2:
            yield 'gc: release appended', s._replace(phase=3)
        if s.phase == 3:
            stays = s.claim and s.capture in (3, 4)
            yield 'gc: release applied', ended(s._replace(phase=0, held=0, mark=0, stored=1 if stays and s.stored else 0))
        if s.losses and s.stored:
            yield 'x is lost everywhere', s._replace(stored=0, losses=s.losses - 1)
        # Giving up: a walk, then one transaction. A session that claims x, itself or through a snapshot, blocks it.
        if s.held and not s.stored and s.phase not in (2, 3):
            if s.give == 0:
                yield 'give-up walks', s._replace(give=1 + s.s0 + 2 * s.s1)
            else:
                seen = {i for i, bit in ((0, 1), (1, 2)) if (s.give - 1) & bit}
                now = {i for i, there in ((0, s.s0), (1, s.s1)) if there}
                if not now <= seen and not rules.get('old_walk'):
                    yield 'give-up: newer snapshots are walked first', s._replace(give=0)
                elif not s.claim or rules.get('give_up_claimed'):
                    yield 'give-up: damaged record and release', s._replace(damaged=s.damaged | (seen & now), held=0, give=0)
        if s.stored and s.give:
            yield 'give-up ends, x is there again', s._replace(give=0)
        if s.kills:
            applied = s.phase == 3
            phase = 1 if s.phase == 1 and (rules.get('resume') or rules.get('resume_blind')) else 0
            saw = s.saw or (s.s1 if not rules.get('resume_blind') else 0)
            yield 'KILL and start: chain applied, marks cleared, claims gone', s._replace(
                held=0 if applied else s.held,
                mark=0,
                claim=0,
                capture=6 if s.capture in (5, 6) else 0,
                phase=phase,
                saw=saw if phase else 0,
                give=0,
                kills=s.kills - 1,
            )

    def broken(s):
        if s.s1 and 1 not in s.damaged and not s.held:
            return 'snapshot 1 reaches x, which is not held, and it is not damaged'
        if s.s1 and s.phase == 3:
            return 'snapshot 1 is recorded, and the release of x is on the chain behind its add'
        if s.s0 and 0 not in s.damaged and not s.held:
            return 'snapshot 0 reaches x, which is not held, and it is not damaged'
        return None

    return init, step, broken


CASES = [
    Case('H1 all rules, gc begins anew after a restart', 'holds', lambda: build({}, (1, 0, 2))),
    Case('H2 all rules, gc goes on after a restart', 'holds', lambda: build({'resume': 1}, (2, 0, 3))),
    Case('H3 with giving up', 'holds', lambda: build({'resume': 1}, (2, 2, 3))),
    Case('H4 mutant: claims end with their session', 'broken', lambda: build({'claims_end': 1}, (0, 0, 1))),
    Case('H5 mutant: an unchanged row without a claim of its snapshot', 'broken', lambda: build({'no_base_claim': 1}, (0, 0, 1))),
    Case('H6 mutant: an add goes between mark and release', 'broken', lambda: build({'add_in_turn': 1}, (0, 0, 1))),
    Case('H7 mutant: a look-up does not see the mark', 'broken', lambda: build({'ignores_mark': 1}, (0, 0, 1))),
    Case('H8 mutant: a gc goes on without the newer snapshots', 'broken', lambda: build({'resume_blind': 1}, (1, 0, 1))),
    Case('H9 mutant: giving up under a session that claims', 'broken', lambda: build({'give_up_claimed': 1}, (0, 1, 0))),
    Case('H10 mutant: giving up by a walk that is older than the head', 'broken', lambda: build({'old_walk': 1}, (0, 1, 0))),
]
