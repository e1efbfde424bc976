"""Access tokens as bytes: read, verify, sign. What their claims must be is the domain's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from backend.identity.domain import OWN_ALGORITHM, TENANT_CLAIM, Flaw, invalid_token
from backend.kit.ids import uuid7

VerifyKey = RSAKey | ECKey
LONGEST: Final = 16_384
_KEY_TYPES: Final[Mapping[str, type[VerifyKey]]] = {"RS256": RSAKey, "ES256": ECKey}
_PUBLIC_MEMBERS: Final = ("kty", "kid", "alg", "use", "n", "e", "crv", "x", "y")
_RSA_BITS: Final = range(2048, 8193 + 6)


class _Registry(jws.JWSRegistry):
    """Unknown header parameters are ignored (RFC 7515 section 4); `crit` is refused before."""

    max_header_length = 4096

    def __init__(self) -> None:
        super().__init__(strict_check_header=False, algorithms=list(_KEY_TYPES))


_REGISTRY: Final = _Registry()


@dataclass(frozen=True, slots=True)
class Token:
    """A parsed token. Its header and claims are hearsay until `has_signature_of` says yes."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    compact: jws.CompactSignature

    @property
    def issuer(self) -> str:
        named = self.claims.get("iss")
        if not isinstance(named, str) or "\0" in named:
            raise invalid_token(Flaw.MISSING, value="iss")
        return named

    @property
    def key_id(self) -> str | None:
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None

    def has_signature_of(self, key: VerifyKey) -> bool:
        algorithm = str(self.header["alg"])
        try:
            return jws.validate_compact(self.compact, key, [algorithm], _REGISTRY)
        except (JoseError, ValueError):
            return False


def bearer(authorization: str) -> str:
    """The token of an Authorization header. Errors: INVALID_TOKEN."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise invalid_token(Flaw.NOT_BEARER)
    return token.strip()


def parse(token: str) -> Token:
    """Take a token apart, believing nothing. Errors: INVALID_TOKEN."""
    if len(token) > LONGEST:
        raise invalid_token(Flaw.MALFORMED)
    try:
        compact = jws.extract_compact(token.encode("ascii"), None, _REGISTRY)
        header, claims = compact.headers(), orjson.loads(compact.payload)
    # Whatever bytes a stranger sends end here, as one coded answer.
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise invalid_token(Flaw.MALFORMED) from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise invalid_token(Flaw.MALFORMED)
    return Token(header, claims, compact)


def public_keys(jwks: object) -> list[VerifyKey]:
    """The usable signature keys of a JWK set; others (symmetric, encryption, too small, unknown) are passed over.

    Only public members are read, also when an issuer publishes more than it should. Errors: ValueError.
    """
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a JWK set")  # noqa: TRY004 - a fault of the document, not of the caller
    read = (_public_key(entry) for entry in listed if isinstance(entry, dict))
    return [key for key in read if key is not None]


def _public_key(entry: Mapping[str, Any]) -> VerifyKey | None:
    members = {name: entry[name] for name in _PUBLIC_MEMBERS if isinstance(entry.get(name), str)}
    if members.get("use", "sig") != "sig":
        return None
    try:
        if members.get("kty") == "RSA" and _bits(members["n"]) in _RSA_BITS:
            return RSAKey.import_key(members)
        if members.get("kty") == "EC" and members.get("crv") == "P-256":
            return ECKey.import_key(members)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None


def _bits(base64url: str) -> int:
    """The size of a number as written; up to five bits more than it has."""
    return len(base64url.rstrip("=")) * 6


def pick(keys: Sequence[VerifyKey], key_id: str | None, algorithm: str) -> VerifyKey | None:
    """The key a token was signed with: by its kid, or the only fitting one when the token names none."""
    fitting = [k for k in keys if isinstance(k, _KEY_TYPES[algorithm]) and k.get("alg", algorithm) == algorithm]
    if key_id is not None:
        fitting = [k for k in fitting if k.kid == key_id]
    return fitting[0] if len(fitting) == 1 else None


@dataclass(frozen=True, slots=True)
class Signer:
    """Our private key of the day."""

    key: ECKey

    def sign(
        self, *, issuer: str, audience: str, subject: str, tenant: str, now: datetime, lifetime: timedelta, **more: str
    ) -> str:
        """An access token of our own (RFC 9068); `more` are further claims such as `client_id` and `scope`."""
        claims = {
            "iss": issuer,
            "aud": audience,
            "sub": subject,
            TENANT_CLAIM: tenant,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": str(uuid7()),
            **more,
        }
        header = {"alg": OWN_ALGORITHM, "typ": "at+jwt", "kid": self.key.kid}
        return jws.serialize_compact(header, orjson.dumps(claims), self.key, [OWN_ALGORITHM])
