"""How Python itself is set for a server: when it collects garbage, and how soon a waiting thread gets its turn.

An SDK brings some hundred thousand objects that live as long as the process. Walking them for garbage takes 15 ms and
more, in the middle of a dispatch or a stream, and makes the import itself a fifth slower.
"""

import gc
import sys

YOUNG = 10_000
"""Net allocations until the young are looked at; Python's 700 is made for smaller worlds."""
OLDER = 20
SWITCH_S = 0.001
"""The threads that write to the client and to the disk ask for the interpreter many times a message; Python's 5 ms of
waiting each time, while the loop is busy, is most of what a delta or an accepted prompt then takes."""


def prepare() -> None:
    """For the start, whose objects all stay: no collection until `settle`."""
    gc.disable()
    sys.setswitchinterval(SWITCH_S)


def settle() -> None:
    """Collect from now on, leaving alone what exists already. May be called twice."""
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
    gc.enable()
