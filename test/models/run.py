"""Runs every model and every mutant. Exit 0 when each rule set holds to the end of its space and each mutant is caught.

    python3 test/models/run.py [--quick] [--trace] [name of a model or case ...]
"""

import importlib
import sys
from time import perf_counter

from search import search

MODELS = ['tiers', 'bases', 'checkpoints', 'bucket', 'shards', 'clones', 'power', 'collect']


def main(args):
    quick = '--quick' in args
    trace = '--trace' in args
    names = [arg for arg in args if not arg.startswith('--')]
    failures = 0
    begun = perf_counter()
    for model in MODELS:
        for case in importlib.import_module(model).CASES:
            if names and model not in names and case.name.split()[0] not in names:
                continue
            if quick and not case.quick and not names:
                continue
            result = search(*case.build())
            good = result.outcome == case.expect
            failures += not good
            print(
                f'{"ok  " if good else "FAIL"} {case.name}: {result.outcome}, {result.states} states, '
                f'{result.depth} levels, {result.seconds:.1f} s',
                flush=True,
            )
            if result.reason and (trace or not good):
                print(f'       {result.reason}')
                for number, name in enumerate(result.trace, 1):
                    print(f'       {number} {name}')
    print(f'{"failed: " + str(failures) if failures else "all as expected"}, {perf_counter() - begun:.0f} s')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
