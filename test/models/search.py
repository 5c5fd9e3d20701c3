"""Breadth-first search of a small state space. Every model uses it.

A model gives an initial state, a function that yields (step name, next state), and a function
that names the broken promise of a state or returns None. States are hashable tuples.
The first trace found is a shortest one.
"""

from time import perf_counter


class Result:
    def __init__(self, outcome, states, depth, seconds, reason=None, trace=()):
        self.outcome = outcome  # 'holds' (searched to the end), 'broken' or 'bounded'
        self.states = states
        self.depth = depth
        self.seconds = seconds
        self.reason = reason
        self.trace = trace


def search(init, step, broken, states_max=3_000_000):
    begun = perf_counter()
    seen = {init: None}
    level = [init]
    depth = 0
    while level:
        following = []
        for state in level:
            reason = broken(state)
            if reason:
                trace = []
                at = state
                while seen[at] is not None:
                    at, name = seen[at]
                    trace.append(name)
                return Result('broken', len(seen), depth, perf_counter() - begun, reason, trace[::-1])
            for name, new in step(state):
                if new not in seen:
                    seen[new] = (state, name)
                    following.append(new)
        if len(seen) > states_max:
            return Result('bounded', len(seen), depth, perf_counter() - begun)
        level = following
        depth += 1
    return Result('holds', len(seen), depth, perf_counter() - begun)


class Case:
    """One search. A rule set with all rules must hold. A mutant, or the text before a mend, must be broken."""

    def __init__(self, name, expect, build, quick=True):
        self.name = name
        self.expect = expect  # 'holds' or 'broken'
        self.build = build  # () -> (init, step, broken)
        self.quick = quick  # also run by --quick
