"""Where verification keys come from: other issuers' JWK sets over HTTPS, our own from the database.

A ring of keys is fresh for a while, is asked again when a token names a key it does not hold (rotation), though never
oftener than a pause allows, and goes on for a bounded time when its source does not answer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson
import structlog
from joserfc.jwk import ECKey
from sqlalchemy.exc import SQLAlchemyError

from backend.identity import repository
from backend.identity.domain import KEYS_UNAVAILABLE, NO_SIGNING_KEY, Trust, checked_address
from backend.identity.tokens import Signer, VerifyKey, pick, public_keys
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.errors import CodedError

log = structlog.get_logger()

LARGEST_DOCUMENT: Final = 256 * 1024
FETCH_TIMEOUT_S: Final = 5.0
MOST_RINGS: Final = 1000


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds: how long keys are taken as they are, how long at most without an answer, how long between two asks."""

    fresh_s: float = 300
    stale_s: float = 3600
    pause_s: float = 10


REMOTE: Final = Freshness()
OWN: Final = Freshness(fresh_s=30, stale_s=30, pause_s=1)


class SourceError(Exception):
    """A source of keys did not give any."""


class KeyRing:
    """The keys of one issuer."""

    def __init__(
        self, issuer: str, load: Callable[[], Awaitable[Sequence[VerifyKey]]], clock: Clock, freshness: Freshness
    ) -> None:
        self._issuer = issuer
        self._load = load
        self._clock = clock
        self._freshness = freshness
        self._lock = asyncio.Lock()
        self._keys: Sequence[VerifyKey] = ()
        self._loaded_at: datetime | None = None
        self._asked_at: datetime | None = None

    async def find(self, key_id: str | None, algorithm: str) -> VerifyKey | None:
        """The key a token names, also when it was published a moment ago. Errors: KEYS_UNAVAILABLE."""
        if self._age(self._loaded_at) > self._freshness.fresh_s:
            await self._renew(self._freshness.fresh_s, wait=False)
        found = pick(self._keys, key_id, algorithm)
        if found is None:
            await self._renew(self._freshness.pause_s, wait=True)
            found = pick(self._keys, key_id, algorithm)
        return found

    async def _renew(self, oldest_s: float, *, wait: bool) -> None:
        """Have keys no older than `oldest_s`, if the source gives them; one caller asks, the others need not wait."""
        if self._lock.locked() and not wait and self._usable():
            return
        async with self._lock:
            asked = self._age(self._asked_at)
            if self._age(self._loaded_at) > oldest_s and asked > self._freshness.pause_s:
                await self._ask()
            if not self._usable():
                raise KEYS_UNAVAILABLE(issuer=self._issuer)

    async def _ask(self) -> None:
        self._asked_at = self._clock.now()
        try:
            self._keys = await self._load()
        except (SourceError, SQLAlchemyError, OSError) as error:
            log.warning("keys not renewed", issuer=self._issuer, reason=str(error))
            return
        self._loaded_at = self._clock.now()

    def _usable(self) -> bool:
        return self._age(self._loaded_at) <= self._freshness.stale_s

    def _age(self, moment: datetime | None) -> float:
        return float("inf") if moment is None else (self._clock.now() - moment).total_seconds()


class RemoteKeys:
    """The key rings of all issuers that tenants trust; one ring per issuer and address, whoever trusts it."""

    def __init__(self, http: httpx.AsyncClient, clock: Clock, *, private: bool, freshness: Freshness = REMOTE) -> None:
        self._http = http
        self._clock = clock
        self._private = private
        self._freshness = freshness
        self._rings: dict[tuple[str, str | None], KeyRing] = {}

    async def find(self, trust: Trust, key_id: str | None, algorithm: str) -> VerifyKey | None:
        source = (trust.issuer, trust.jwks_uri)
        ring = self._rings.get(source)
        if ring is None:
            while len(self._rings) >= MOST_RINGS:
                del self._rings[next(iter(self._rings))]
            ring = KeyRing(trust.issuer, lambda: self._fetch(*source), self._clock, self._freshness)
            self._rings[source] = ring
        return await ring.find(key_id, algorithm)

    async def _fetch(self, issuer: str, jwks_uri: str | None) -> list[VerifyKey]:
        jwks = await self._document(jwks_uri or await self._discover(issuer))
        try:
            return public_keys(jwks)
        except ValueError as error:
            raise SourceError(str(error)) from error

    async def _discover(self, issuer: str) -> str:
        """OpenID Connect Discovery, then RFC 8414; the metadata must be that of the very issuer."""
        parts = urlsplit(issuer)
        path = parts.path.rstrip("/")
        places = (
            f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{path}",
        )
        for place in places:
            try:
                metadata = await self._document(place)
            except SourceError as error:
                reason = error
                continue
            if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
                raise SourceError(f"{place} is the metadata of another issuer")
            return str(metadata.get("jwks_uri"))
        raise reason

    async def _document(self, url: str) -> Any:
        """A JSON document, from an address that is allowed; no redirects, no more than 256 kB, within 5 s."""
        try:
            checked_address(url, "url")
        except CodedError as error:
            raise SourceError(f"{url} is not an address keys may come from") from error
        if not self._private:
            await refuse_private(url)
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S), self._http.stream("GET", url) as response:
                if response.status_code != httpx.codes.OK:
                    raise SourceError(f"{url} answers {response.status_code}")
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST_DOCUMENT:
                        raise SourceError(f"{url} answers more than {LARGEST_DOCUMENT} bytes")
            return orjson.loads(body)
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            raise SourceError(f"{url}: {error!r}") from error


async def refuse_private(url: str) -> None:
    """A tenant's administrator names addresses; ours must not be a way into our own network.

    The name could resolve differently a moment later, but a server inside cannot answer TLS for it.
    """
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise SourceError(f"{url} is not https")
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    for *_, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
            raise SourceError(f"{parts.hostname} is on a private network")


class OwnKeys:
    """The keys of our own issuer, from the database. A key withdrawn there is refused within `fresh_s`."""

    def __init__(self, database: Database, clock: Clock, freshness: Freshness = OWN) -> None:
        self._database = database
        self._clock = clock
        self._freshness = freshness
        self._ring = KeyRing("tanheng", self._load, clock, freshness)
        self._signer: tuple[datetime, Signer] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> VerifyKey | None:
        return await self._ring.find(key_id, algorithm)

    async def published(self) -> list[dict[str, Any]]:
        """The public keys, as JWKs, that verify what we signed."""
        async with self._database.read(None) as session:
            return await repository.published_keys(session, self._clock.now())

    async def signer(self) -> Signer:
        """The key that signs now. Errors: NO_SIGNING_KEY."""
        now = self._clock.now()
        if self._signer is None or (now - self._signer[0]).total_seconds() > self._freshness.fresh_s:
            async with self._database.read(None) as session:
                private = await repository.active_private_key(session)
            if private is None:
                raise NO_SIGNING_KEY()
            self._signer = (now, Signer(ECKey.import_key(private)))
        return self._signer[1]

    async def _load(self) -> list[VerifyKey]:
        return public_keys({"keys": await self.published()})
