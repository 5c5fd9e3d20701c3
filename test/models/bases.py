"""(b) Delta bases at a store with the key, frames of two owners.

Ids x and y. Owners A and B, each with a chain of its own that is closed under bases (2.3). One holder T with the key,
up to date with both chains. A frame is (id, kind, owner): kind F is full, kind D is a delta on the other id.
Modelled: which frames satisfy a hold (3.4), compaction, dropping what nobody holds (7.4), frames in flight, losses.
A step of T's own (compaction, drop) may never make a held id unreadable that was readable.
"""

from collections import namedtuple

from search import Case

OTHER = {'x': 'y', 'y': 'x'}
# listed: ((owner, id, forms), ...) of held ids. frames: at T. counted: ids that T counts as satisfied (its index).
State = namedtuple('State', 'listed frames flag adds releases losses flights')


def readable(frames, one, path=()):
    if one in path:
        return False
    return any(f[0] == one and (f[1] == 'F' or readable(frames, OTHER[one], path + (one,))) for f in frames)


def circular(frames):
    """The greatest reading of 3.4: assume all satisfied, then take away what contradicts."""
    good = {f[0] for f in frames}
    while True:
        less = {i for i in good if any(f[0] == i and (f[1] == 'F' or OTHER[i] in good) for f in frames)}
        if less == good:
            return good
        good = less


def satisfied(frames, rules):
    if rules.get('any_frame'):
        return {f[0] for f in frames}
    if rules.get('circular'):
        return circular(frames)
    return {i for i in 'xy' if readable(frames, i)}


def build(rules, budget):
    init = State((), frozenset(), '', *budget)

    def step(s):
        forms = {(o, i): f for o, i, f in s.listed}
        heldids = {i for _, i in forms}

        def put(changed, **more):
            return s._replace(listed=tuple(sorted((o, i, f) for (o, i), f in changed.items())), **more)

        for owner in 'AB':
            for one in 'xy':
                if s.adds:
                    mine = forms.get((owner, one), ())
                    for kind in 'FD':
                        if kind in mine:
                            continue
                        if kind == 'D' and (mine or (owner, OTHER[one]) not in forms):
                            continue  # 2.3: a delta form only of an id that is not held, its base held before
                        yield f'{owner} adds {one} as {"delta of " + OTHER[one] if kind == "D" else "full"}', put(
                            {**forms, (owner, one): mine + (kind,)}, adds=s.adds - 1
                        )
                if s.releases and (owner, one) in forms:
                    if 'D' in forms.get((owner, OTHER[one]), ()):
                        continue  # 2.3: a base is released only after its last delta
                    yield f'{owner} releases {one}', put({k: v for k, v in forms.items() if k != (owner, one)}, releases=s.releases - 1)
        good = satisfied(s.frames, rules)
        for (owner, one), kinds in forms.items():
            for kind in kinds:
                frame = (one, kind, owner)
                if frame in s.frames:
                    continue
                if one not in good:
                    yield f'{owner} sends {one} {kind}', s._replace(frames=s.frames | {frame})
                elif s.flights:
                    yield f'{owner}: {one} {kind} was in flight', s._replace(frames=s.frames | {frame}, flights=s.flights - 1)
        for frame in s.frames:
            rest = s.frames - {frame}
            one = frame[0]
            still = {i for i in 'xy' if readable(s.frames, i)}
            if one in heldids:
                # Compaction: only when another frame satisfies the held id (3.4).
                may = one in satisfied(rest, rules)
                if rules.get('keeps_full') and frame[1] == 'F' and not any(f[0] == one and f[1] == 'F' for f in rest):
                    may = False
                # Every other held id has to stay satisfied as well: the frame may be a base.
                if not rules.get('any_frame') and not (good & heldids) <= satisfied(rest, rules):
                    may = False
                name = f'T compacts {frame} away'
            else:
                # 7.4: nobody holds the id; a base of a delta frame that stays is kept.
                may = rules.get('drops_bases') or not any(f[0] == OTHER[one] and f[1] == 'D' for f in rest if f[0] in heldids)
                name = f'T drops {frame}, not held'
            if may:
                gone = {i for i in still & heldids if not readable(rest, i)}
                flag = f'{sorted(gone)} held and readable, and unreadable after "{name}"' if gone else ''
                yield name, s._replace(frames=rest, flag=flag)
            if s.losses:
                yield f'T loses {frame}', s._replace(frames=rest, losses=s.losses - 1)

    def broken(s):
        if s.flag:
            return s.flag
        for one in satisfied(s.frames, rules) & {i for _, i, _ in s.listed}:
            if not readable(s.frames, one):
                return f'{one} counts as satisfied and cannot be read: frames {sorted(s.frames)}'
        return None

    return init, step, broken


CASES = [
    Case('B1 all rules, two owners', 'holds', lambda: build({'keeps_full': 1}, (4, 2, 1, 2))),
    Case('B2 all rules, more of each', 'holds', lambda: build({'keeps_full': 1}, (6, 3, 2, 3)), quick=False),
    Case('B3 before M2: bases here do satisfy, read in a circle', 'broken', lambda: build({'circular': 1}, (4, 0, 0, 2))),
    Case('B4 mutant: a delta frame satisfies without its base', 'broken', lambda: build({'any_frame': 1}, (2, 0, 1, 0))),
    Case('B5 mutant: a released base is dropped under a delta frame that stays', 'broken', lambda: build({'drops_bases': 1}, (3, 2, 0, 1))),
    Case('B6 least reading, full frames may go for readable deltas', 'holds', lambda: build({}, (4, 2, 1, 2))),
]
