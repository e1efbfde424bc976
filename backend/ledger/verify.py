r"""Checks an exported ledger without a database and without this program's other code: it needs Python alone.

    python -m backend.ledger.verify FILE            or: python verify.py FILE
    python -m backend.ledger.verify --proof FILE    an inclusion proof of one transfer

Exit code 0: whole; 1: broken, and the first broken link is named; 2: no such file, or not an export.

**The words.** A transfer is one line of UTF-8: `transfer|id|kind|effective day|beneficiary|year|id it reverses|
recorded (µs since 1970 UTC)|number of legs|legs|purpose|evidence`, a leg being `lot>from>to>quantity` and legs parted
by commas; an issue, split or merge is followed by its new lots by id:
`|class|scheme|reference|vintage|project|origin|issued to|prefix|first`.
In free text a backslash, a bar and a line feed are written `\\`, `\p` and `\n`. The leaf of a transfer is the
SHA-256 of its line.

**The chain.** A seal closes the transfers of one statement, by id: `seal|number|hash of the seal before, hex|
sealed (µs)|number of transfers|SHA-256 of their leaves, hex`; its hash is the SHA-256 of that. Before seal 1 stands
the SHA-256 of `tanheng ledger <tenant id>`.

**Anchors.** The hashes of a day's seals are the leaves of a binary tree (a pair: SHA-256 of 0x01, left, right; one left
over goes up as it is); its root, published somewhere else, is what a proof leads to, and what a ledger that was
rewritten as a whole no longer fits.

**The file.** `tanheng-ledger|1|tenant id`, then of each seal `S|hash|its words` and of its transfers `T|leaf|their
words`; `U|words` is a transfer that no seal closes, `A|day|first seal|last seal|root` an anchor.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any


class BrokenError(Exception):
    """The first link of the chain that does not hold, and why."""


def genesis(tenant_id: str) -> bytes:
    """What stands before the first seal of a tenant."""
    return sha256(f"tanheng ledger {tenant_id}".encode()).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root over at least one leaf of 32 bytes."""
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def merkle_path(leaves: Sequence[bytes], place: int) -> list[tuple[str, bytes]]:
    """The way from a leaf to the root: at each step the neighbour and its side, `L` or `R`; none where it has none."""
    path, level = [], list(leaves)
    while len(level) > 1:
        neighbour = place ^ 1
        if neighbour < len(level):
            path.append(("L" if neighbour < place else "R", level[neighbour]))
        level, place = _above(level), place // 2
    return path


def climb(leaf: bytes, path: Iterable[tuple[str, bytes]]) -> bytes:
    """The root that a path leads to."""
    for side, neighbour in path:
        leaf = sha256(b"\x01" + (neighbour + leaf if side == "L" else leaf + neighbour)).digest()
    return leaf


def _above(level: Sequence[bytes]) -> list[bytes]:
    return [
        sha256(b"\x01" + level[i] + level[i + 1]).digest() if i + 1 < len(level) else level[i]
        for i in range(0, len(level), 2)
    ]


class Verifier:
    """Takes the lines of an export in order; raises BrokenError at the first that does not fit."""

    def __init__(self) -> None:
        self.transfers = 0
        self.hashes: list[bytes] = []
        self._previous = b""
        self._count = 0
        self._root = ""
        self._leaves: list[bytes] = []
        self._anchored = 0

    def take(self, line: bytes) -> None:
        """The next line, without its line feed."""
        mark = line[:2]
        if mark == b"T|":
            self._transfer(line)
        elif mark == b"S|":
            self._seal(line)
        elif mark == b"A|":
            self._anchor(line)
        elif mark == b"U|":
            self._close()
            message = f"transfer {line.split(b'|')[2].decode()} is in no seal"
            raise BrokenError(message)
        elif line.startswith(b"tanheng-ledger|1|") and not self._previous:
            self._previous = genesis(line.split(b"|")[2].decode())
        else:
            message = f"not a line of an export: {line[:60]!r}"
            raise BrokenError(message)

    def end(self) -> None:
        """After the last line."""
        self._close()
        if not self._previous:
            message = "the export is empty"
            raise BrokenError(message)

    def _transfer(self, line: bytes) -> None:
        leaf = sha256(line[67:]).digest()
        if leaf.hex().encode() != line[2:66]:
            name = line[67:].split(b"|")[1].decode()
            message = f"seal {len(self.hashes)}: transfer {name} is not what was sealed"
            raise BrokenError(message)
        self._leaves.append(leaf)
        self.transfers += 1

    def _seal(self, line: bytes) -> None:
        self._close()
        words = line[67:].decode()
        _, number, previous, _, count, root = words.split("|")
        due = len(self.hashes) + 1
        if int(number) != due:
            message = f"seal {due} is missing; seal {number} follows"
            raise BrokenError(message)
        if previous != self._previous.hex():
            message = f"seal {number} does not follow from the one before"
            raise BrokenError(message)
        self._previous = sha256(words.encode()).digest()
        if self._previous.hex().encode() != line[2:66]:
            message = f"seal {number} does not have the hash of its words"
            raise BrokenError(message)
        self.hashes.append(self._previous)
        self._count, self._root = int(count), root

    def _close(self) -> None:
        """A seal is judged when all its transfers have been seen."""
        if not self.hashes:
            return
        found = sha256(b"".join(self._leaves)).hexdigest()
        if len(self._leaves) != self._count or found != self._root:
            message = f"seal {len(self.hashes)} closes {self._count} other transfers than the {len(self._leaves)} found"
            raise BrokenError(message)
        self._leaves, self._count, self._root = [], 0, sha256(b"").hexdigest()

    def _anchor(self, line: bytes) -> None:
        self._close()
        _, day, first, last, root = line.decode().split("|")
        sealed = self.hashes[int(first) - 1 : int(last)]
        if int(first) != self._anchored + 1 or len(sealed) != int(last) - int(first) + 1:
            message = f"the anchor of {day} names seals {first} to {last}, which do not follow or are not there"
            raise BrokenError(message)
        if merkle_root(sealed).hex() != root:
            message = f"the anchor of {day} is over other seals than {first} to {last}"
            raise BrokenError(message)
        self._anchored = int(last)


def verify(lines: Iterable[bytes]) -> Verifier:
    """Check a whole export. Errors: BrokenError."""
    verifier = Verifier()
    for line in lines:
        verifier.take(line.rstrip(b"\n"))
    verifier.end()
    return verifier


def verify_proof(proof: dict[str, Any]) -> str:
    """The anchor's root that a transfer's inclusion proof leads to, hex. Errors: BrokenError."""
    try:
        return _leads_to(proof)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = "this is no proof of inclusion"
        raise BrokenError(message) from error


def _leads_to(proof: dict[str, Any]) -> str:
    leaves = [bytes.fromhex(leaf) for leaf in proof["leaves"]]
    if sha256(proof["transfer"].encode()).digest() not in leaves:
        message = "the transfer is none of the leaves of its seal"
        raise BrokenError(message)
    _, _, _, _, count, root = proof["seal"].split("|")
    if len(leaves) != int(count) or sha256(b"".join(leaves)).hexdigest() != root:
        message = "the seal is over other leaves"
        raise BrokenError(message)
    reached = climb(sha256(proof["seal"].encode()).digest(), [(s, bytes.fromhex(n)) for s, n in proof["path"]])
    if reached.hex() != proof["root"]:
        message = "the path does not lead to the root of the anchor"
        raise BrokenError(message)
    return reached.hex()


def main(arguments: Sequence[str]) -> int:
    """Check a file; see the top of this module."""
    if not arguments or arguments == ["--proof"]:
        print(__doc__, file=sys.stderr)
        return 2
    if not Path(arguments[-1]).is_file():
        print(f"There is no file {arguments[-1]}.", file=sys.stderr)
        return 2
    try:
        if arguments[0] == "--proof":
            print(f"leads to the root {verify_proof(json.loads(Path(arguments[-1]).read_text()))}")
            return 0
        started = time.perf_counter()
        with Path(arguments[-1]).open("rb") as file:
            found = verify(file)
    except (BrokenError, json.JSONDecodeError) as broken:
        print(f"BROKEN: {broken}")
        return 1
    took = time.perf_counter() - started
    head = found.hashes[-1].hex() if found.hashes else "-"
    print(f"whole: {found.transfers} transfers under {len(found.hashes)} seals in {took:.2f} s; head {head}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
