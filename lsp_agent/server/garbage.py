"""When Python looks for cyclic garbage: not while modules are imported, and never again in what the imports made.

An SDK brings some hundred thousand objects that live as long as the process. Walking them takes 15 ms and more, in the
middle of a dispatch or a stream, and makes the import itself a fifth slower.
"""

import gc

YOUNG = 10_000
"""Net allocations until the young are looked at; Python's 700 is made for smaller worlds."""
OLDER = 20


def postpone() -> None:
    """No collection until `settle`: for the start, whose objects all stay."""
    gc.disable()


def settle() -> None:
    """Collect from now on, leaving alone what exists already. May be called twice."""
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
    gc.enable()
