"""How a process that serves collects its garbage."""

from __future__ import annotations

import gc
from typing import Final

OBJECTS: Final = 50_000
"""More new containers than lost ones before Python looks for circles; its own 700 are met many times by one request."""


def settle() -> None:
    """Call it once, when everything is loaded: what there is stays, and is not looked through again.

    Looking for circles took a third of the time of a long list of postings, and almost never found one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 20, 20)
