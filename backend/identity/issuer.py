"""An OAuth 2.0 issuer of our own, for partner clients: client_credentials with scopes (RFC 6749 section 4.4).

The protocol is authlib's. Its machinery is synchronous, so what it needs (the client, the signing key) is read first
and it then runs in a thread, where scrypt belongs anyway.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import anyio
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.authenticate_client import ClientAuthentication
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6749.util import extract_basic_authorization
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from backend.config import IdentitySettings
from backend.identity import repository
from backend.identity.authenticator import own_trust
from backend.identity.credentials import NOBODY, is_secret
from backend.identity.domain import CLIENT_TOKEN_LIFETIME, OWN_ALGORITHM, PARTNER_SCOPES, Trust
from backend.identity.keys import OwnKeys
from backend.identity.repository import ClientCredentials
from backend.identity.tokens import Signer
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.errors import CodedError

AUTH_METHODS: Final = ("client_secret_basic", "client_secret_post")
LONGEST_FORM: Final = 8192
JWKS_MAX_AGE_S: Final = 300


@dataclass(frozen=True, slots=True)
class _Signing:
    """With what, as whom and when a token is signed."""

    signer: Signer
    trust: Trust
    now: datetime


class _Client(ClientMixin):  # type: ignore[misc]
    """A partner client as authlib asks about it."""

    def __init__(self, known: ClientCredentials) -> None:
        self.known = known

    def get_client_id(self) -> str:
        return self.known.client_id

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """All of its scopes when none is asked for; None, which refuses, when one is not its own."""
        asked = (scope or "").split() or list(self.known.scopes)
        return " ".join(asked) if set(asked) <= set(self.known.scopes) else None

    def check_client_secret(self, client_secret: str) -> bool:
        return sum(is_secret(client_secret, digest) for digest in self.known.digests) > 0

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in AUTH_METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == ClientCredentialsGrant.GRANT_TYPE)


class _Request(OAuth2Request):  # type: ignore[misc]
    """A token request with all that answering it takes."""

    def __init__(self, uri: str, headers: dict[str, str], form: dict[str, str]) -> None:
        super().__init__("POST", uri, headers=headers)
        self.payload = BasicOAuth2Payload(form)
        self.known: _Client | None = None
        self.signing: _Signing | None = None

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data  # type: ignore[no-any-return]

    @property
    def named_client(self) -> str:
        """The client that asks. Errors: invalid_request when it says so in two ways (section 2.3)."""
        try:
            by_header = extract_basic_authorization(self.headers)[0]
        except ValueError as error:
            raise InvalidRequestError("The Authorization header is not Basic in UTF-8.") from error
        if by_header is not None and "client_secret" in self.form:
            raise InvalidRequestError("Authenticate in one way, by header or by form.")
        return by_header or self.payload.client_id or ""


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: Final = AUTH_METHODS

    def create_token_response(self) -> Any:
        """As authlib's, but the token does not pass through a log."""
        generate = BearerTokenGenerator(
            functools.partial(_access_token, self.request.signing),
            expires_generator=int(CLIENT_TOKEN_LIFETIME.total_seconds()),
        )
        scope = self.request.payload.scope
        answer = generate(self.GRANT_TYPE, self.request.client, scope=scope, include_refresh_token=False)
        return 200, answer, self.TOKEN_RESPONSE_HEADER


def _access_token(signing: _Signing, *, client: _Client, scope: str, **_given: Any) -> str:
    return signing.signer.sign(
        issuer=signing.trust.issuer,
        audience=signing.trust.audience,
        subject=client.known.client_id,
        tenant=client.known.tenant,
        now=signing.now,
        lifetime=CLIENT_TOKEN_LIFETIME,
        client_id=client.known.client_id,
        scope=scope,
    )


class _Server(AuthorizationServer):  # type: ignore[misc]
    """authlib's server over requests that bring their client along."""

    def authenticate_client(self, request: _Request, methods: Sequence[str], endpoint: str = "token") -> Any:
        return ClientAuthentication(lambda _client_id: request.known)(request, methods, endpoint)

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Any, headers: Sequence[tuple[str, str]]) -> Response:
        return JSONResponse(body, status, dict(headers))


class Issuer:
    """The endpoints of our issuer."""

    def __init__(self, database: Database, clock: Clock, settings: IdentitySettings) -> None:
        self._database = database
        self._clock = clock
        self._trust = own_trust(settings)
        self._keys = OwnKeys(database, clock)
        self._server = _Server()
        self._server.register_grant(_Grant)
        # Each check of a secret takes 16 MiB and a core for a moment; strangers may not have more than two.
        self._checks = anyio.CapacityLimiter(2)

    async def metadata(self, _request: Request) -> Response:
        """RFC 8414 and OpenID Connect Discovery; there is no authorization endpoint, so no response type."""
        base = self._trust.issuer
        document = {
            "issuer": base,
            "token_endpoint": f"{base}/oauth/token",
            "jwks_uri": f"{base}/oauth/jwks",
            "grant_types_supported": [ClientCredentialsGrant.GRANT_TYPE],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [OWN_ALGORITHM],
            "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
            "scopes_supported": list(PARTNER_SCOPES),
        }
        return JSONResponse(document, headers={"cache-control": f"public, max-age={JWKS_MAX_AGE_S}"})

    async def jwks(self, _request: Request) -> Response:
        headers = {"cache-control": f"public, max-age={JWKS_MAX_AGE_S}"}
        return JSONResponse({"keys": await self._keys.published()}, 200, headers, "application/jwk-set+json")

    async def token(self, request: Request) -> Response:
        """RFC 6749 sections 3.2 and 5: JSON answers, errors in its words, never cached."""
        try:
            asked = await self._read(request)
            asked.known = await self._client(asked.named_client)
            asked.signing = _Signing(await self._keys.signer(), self._trust, self._clock.now())
        except OAuth2Error as error:
            return self._server.handle_error_response(None, error)  # type: ignore[no-any-return]
        except CodedError as error:
            body = {"error": "temporarily_unavailable", "error_description": error.message("en")}
            return JSONResponse(body, 503, {"cache-control": "no-store"})
        return await anyio.to_thread.run_sync(self._server.create_token_response, asked, limiter=self._checks)

    async def _read(self, request: Request) -> _Request:
        """The form of a token request: small, url-encoded, each parameter once (section 3.2)."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/x-www-form-urlencoded":
            raise InvalidRequestError("Send the parameters as application/x-www-form-urlencoded.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                raise InvalidRequestError("The request is too long.")
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=20)
        except ValueError as error:
            raise InvalidRequestError("The parameters are not url-encoded UTF-8.") from error
        form = dict(pairs)
        if len(form) != len(pairs):
            raise InvalidRequestError("A parameter is given twice.")
        if not form.get("grant_type"):
            raise InvalidRequestError("grant_type is missing.")
        headers = {"Authorization": request.headers.get("authorization", "")}
        return _Request(f"{self._trust.issuer}/oauth/token", headers, form)

    async def _client(self, client_id: str) -> _Client:
        """A client id says which tenant's it is: `<slug>.<id>`. One that does not exist fails like a wrong secret."""
        nobody = ClientCredentials(client_id, "", (), (NOBODY,))
        slug, _, rest = client_id.partition(".")
        if not rest or not client_id.isascii() or not client_id.isprintable():
            return _Client(nobody)
        async with self._database.read(None) as session:
            tenant_id = await repository.tenant_named(session, slug)
        if tenant_id is None:
            return _Client(nobody)
        async with self._database.read(tenant_id) as session:
            known = await repository.credentials_of(session, client_id, self._clock.now())
        return _Client(known or nobody)


def routes(database: Database, clock: Clock, settings: IdentitySettings) -> list[Route]:
    """The routes the application mounts at its root."""
    issuer = Issuer(database, clock, settings)
    read = functools.partial(Route, methods=["GET"])
    endpoints: tuple[tuple[str, Callable[[Request], Awaitable[Response]]], ...] = (
        ("/.well-known/openid-configuration", issuer.metadata),
        ("/.well-known/oauth-authorization-server", issuer.metadata),
        ("/oauth/jwks", issuer.jwks),
    )
    return [*(read(path, serve) for path, serve in endpoints), Route("/oauth/token", issuer.token, methods=["POST"])]
