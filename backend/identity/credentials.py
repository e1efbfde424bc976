"""Client secrets: made by us, shown once, kept as scrypt digests (RFC 7914)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

_COST, _BLOCK, _LANES = 14, 8, 1
_MEMORY: Final = 64 << 20
_LONGEST: Final = 200

NOBODY: Final = f"scrypt${_COST}${_BLOCK}${_LANES}${'A' * 24}${'A' * 44}"
"""A digest no secret has: checking it costs what checking a real one does, so unknown clients take as long."""


def new_secret() -> str:
    """256 random bits; the prefix lets secret scanners find one that strayed into a repository."""
    return f"ths_{secrets.token_urlsafe(32)}"


def digest_of(secret: str) -> str:
    """`scrypt$log2 N$r$p$salt$key`. Takes tens of milliseconds and 16 MiB: call it in a thread."""
    salt = secrets.token_bytes(18)
    return f"scrypt${_COST}${_BLOCK}${_LANES}${_b64(salt)}${_b64(_derive(secret, salt, _COST, _BLOCK, _LANES))}"


def is_secret(given: str, digest: str) -> bool:
    """Whether `digest` was made of `given`, in constant time."""
    if len(given) > _LONGEST:
        return False
    _, cost, block, lanes, salt, key = digest.split("$")
    derived = _derive(given, base64.b64decode(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(derived, base64.b64decode(key))


def _derive(secret: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=1 << cost, r=block, p=lanes, maxmem=_MEMORY, dklen=32)


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()
