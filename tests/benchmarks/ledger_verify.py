"""ledger.verify: checking an exported ledger without a database, against hashing the same lines and nothing else."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from backend.kit.ids import uuid7
from backend.ledger.verify import genesis, verify
from tests.benchmarks.table import Figure

TRANSFERS: Final = 200_000
PER_SEAL: Final = 8
ROUNDS: Final = 3


def run() -> Figure:
    """Transfers per second of one process; the limit is SHA-256 over every line."""
    lines = list(_export())
    ours, limits = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        assert verify(lines).transfers == TRANSFERS
        ours.append(TRANSFERS / (time.perf_counter() - started))
        started = time.perf_counter()
        for line in lines:
            sha256(line).digest()
        limits.append(TRANSFERS / (time.perf_counter() - started))
    ratio = statistics.median(a / b for a, b in zip(ours, limits, strict=True))
    note = f"{TRANSFERS:,} transfers of one leg, {PER_SEAL} to a seal, offline; to reach: 100,000/s"
    return Figure("ledger.verify", statistics.median(ours), statistics.median(limits), ratio, "transfers/s", note)


def _export() -> Iterator[bytes]:
    tenant = str(uuid7())
    yield f"tanheng-ledger|1|{tenant}".encode()
    previous = genesis(tenant)
    for number in range(1, TRANSFERS // PER_SEAL + 1):
        words = [
            f"transfer|{uuid7()}|TRANSFER|2026-01-01||||1790000000000000|1|{uuid7()}>{uuid7()}>{uuid7()}>5|内部划转|"
            for _ in range(PER_SEAL)
        ]
        leaves = [sha256(line.encode()).digest() for line in words]
        root = sha256(b"".join(leaves)).hexdigest()
        seal = f"seal|{number}|{previous.hex()}|1790000000000000|{PER_SEAL}|{root}"
        previous = sha256(seal.encode()).digest()
        yield f"S|{previous.hex()}|{seal}".encode()
        for leaf, line in zip(leaves, words, strict=True):
            yield f"T|{leaf.hex()}|{line}".encode()
