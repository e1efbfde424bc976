"""Who may call: what makes an access token good, whom a tenant trusts, what a partner client is.

Pure: time is passed in. Sources: RFC 9068 (JWT profile of access tokens), RFC 8725 (JWT best current practice),
RFC 6749 section 4.4 (client credentials).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from backend.kit.errors import INVALID_INPUT, CodedError, conflict, forbidden, invalid, unavailable
from backend.kit.words import things_in_chinese
from tenants.domain.members import MemberKind
from tenants.domain.roles import ROLES, Permission, Role

OWN_ISSUER: Final = "tanheng"
"""How members of our own issuer name it: its address may change, they stay who they are."""
TENANT_CLAIM: Final = "tenant"
"""The claim by which a token says which tenant it is for: slug or id."""
OWN_ALGORITHM: Final = "ES256"
ALGORITHMS: Final = ("RS256", "ES256")
TOKEN_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
CLOCK_SKEW: Final = timedelta(seconds=30)
CLIENT_TOKEN_LIFETIME: Final = timedelta(minutes=10)
MAX_LIFETIME: Final = timedelta(days=7)
MAX_OVERLAP: Final = timedelta(days=7)

INVALID_TOKEN = forbidden(
    "INVALID_TOKEN", en="The access token is not accepted: {reason}", zh="访问令牌不被接受：{reason_zh}"
)
TENANT_REQUIRED = forbidden(
    "TENANT_REQUIRED",
    en="Name the tenant: send its slug or id in the X-Tenant header (the token names none).",
    zh="请指明租户：在 X-Tenant 请求头中携带租户代码或标识（令牌未指明租户）。",
)
WRONG_TENANT = forbidden(
    "WRONG_TENANT",
    en="This token does not open the tenant '{tenant}'; send the X-Tenant it was issued for, or another token.",
    zh="此令牌不能用于租户 '{tenant}'；请使用签发时对应的 X-Tenant，或换用其他令牌。",
)
UNKNOWN_MEMBER = forbidden(
    "UNKNOWN_MEMBER",
    en="The token is good, but its subject is no member of this tenant; ask an administrator to add you.",
    zh="令牌有效，但其主体不是该租户的成员；请联系管理员添加。",
)
MEMBER_REVOKED = forbidden(
    "MEMBER_REVOKED",
    en="Your membership of this tenant has been revoked; ask an administrator.",
    zh="您在该租户的成员资格已被撤销；请联系管理员。",
)
KEYS_UNAVAILABLE = unavailable(
    "KEYS_UNAVAILABLE",
    en="The signing keys of the issuer {issuer} cannot be fetched just now; try again shortly.",
    zh="暂时无法获取签发方 {issuer} 的签名公钥，请稍后重试。",
)
NO_SIGNING_KEY = unavailable(
    "NO_SIGNING_KEY",
    en="This installation has no signing key yet; the operator makes one with `tanheng keys ensure`.",
    zh="本系统尚无签名密钥；请运营方用 `tanheng keys ensure` 生成。",
)
BAD_ISSUER = invalid(
    "BAD_ISSUER",
    en="'{value}' is not usable here: write an https address without query, fragment or credentials"
    " (http only for this machine).",
    zh="'{value}' 不可用：须为不含查询串、片段和凭据的 https 地址（仅本机可用 http）。",
)
BAD_ALGORITHM = invalid(
    "BAD_ALGORITHM",
    en="'{value}' is not a signature algorithm accepted here; choose from {allowed}.",
    zh="不接受签名算法 '{value}'；可选：{allowed}。",
)
BAD_SCOPE = invalid(
    "BAD_SCOPE",
    en="'{value}' is not a scope a partner client can hold; choose from {allowed}.",
    zh="合作系统不能持有权限范围 '{value}'；可选：{allowed}。",
)
BAD_OVERLAP = invalid(
    "BAD_OVERLAP",
    en="The old secret may stay valid for 0 to {most} hours; got {asked}.",
    zh="旧密钥可继续有效 0 至 {most} 小时，收到 {asked}。",
)
LIFETIME_TOO_LONG = invalid(
    "LIFETIME_TOO_LONG",
    en="A token lives more than 0 and at most {most} hours; asked for {asked}.",
    zh="令牌有效期须大于 0 且不超过 {most} 小时，请求为 {asked}。",
)
ISSUER_ALREADY_TRUSTED = conflict(
    "ISSUER_ALREADY_TRUSTED",
    en="This tenant already trusts {issuer}; remove that entry first.",
    zh="该租户已信任 {issuer}；请先移除原有条目。",
)
CLIENT_REVOKED = conflict(
    "CLIENT_REVOKED",
    en="The partner client has been revoked; create a new one.",
    zh="该合作系统客户端已被撤销；请新建。",
)
TRIAL_ROLE_NEEDS_ORGANISATION = invalid(
    "TRIAL_ROLE_NEEDS_ORGANISATION",
    en="An OVERALL_LEAD is appointed in one organisation (5.3.4), not in a whole tenant; name the organisation too.",
    zh="总体负责人须在某一组织内任命（5.3.4），不能在整个租户内任命；请同时指明组织。",
)


class Flaw(Enum):
    """Why a token is refused, in English and Chinese."""

    NOT_BEARER = ("the Authorization header must read 'Bearer <token>'.", "Authorization 请求头须为 'Bearer <令牌>'。")
    MALFORMED = ("it is not a signed JWT (three base64url parts).", "不是已签名的 JWT（三段 base64url）。")
    TOKEN_TYPE = ("its typ is {value}; an access token has at+jwt (RFC 9068).", "typ 为 {value}，应为 at+jwt。")
    ALGORITHM = ("its alg is {value}; this issuer signs with {allowed}.", "alg 为 {value}，该签发方应为 {allowed}。")
    CRITICAL = ("it has a crit header, and none is understood.", "含有不支持的 crit 头。")
    UNKNOWN_KEY = ("its issuer publishes no key {value} for this algorithm.", "签发方未公布该算法的公钥 {value}。")
    SIGNATURE = ("its signature does not verify.", "签名验证失败。")
    ISSUER = ("its iss is not the issuer that is trusted.", "iss 与受信任的签发方不符。")
    AUDIENCE = ("its aud does not name {value}.", "aud 未包含 {value}。")
    EXPIRED = ("it expired at {value}.", "已于 {value} 过期。")
    NOT_YET = ("it is not valid before {value}.", "在 {value} 之前无效。")
    ISSUED_LATER = ("it says it was issued in the future, at {value}.", "签发时间 {value} 在未来。")
    MISSING = ("the claim {value} is missing or of the wrong type.", "声明 {value} 缺失或类型不符。")


def invalid_token(flaw: Flaw, **params: object) -> CodedError:
    """INVALID_TOKEN with the precise reason in both languages."""
    en, zh = flaw.value
    return INVALID_TOKEN(reason=en.format_map(params), reason_zh=zh.format_map(params), flaw=flaw.name)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a token of one issuer must be like, and where its keys are (`jwks_uri` None: by discovery).

    `member_issuer` is the issuer as members are filed under, `subject_claim` the claim that names them.
    """

    issuer: str
    audience: str
    algorithms: Sequence[str] = ALGORITHMS
    jwks_uri: str | None = None
    subject_claim: str = "sub"
    member_issuer: str = ""


def check_header(header: Mapping[str, Any], trust: Trust) -> None:
    """Refuse what must not even reach a key: other types, other algorithms (`none`, HMAC), unknown extensions."""
    if "crit" in header or "b64" in header:
        raise invalid_token(Flaw.CRITICAL)
    algorithm = header.get("alg")
    if algorithm not in trust.algorithms:
        raise invalid_token(Flaw.ALGORITHM, value=_shown(algorithm), allowed=" / ".join(trust.algorithms))
    kind = header.get("typ")
    if not isinstance(kind, str) or kind.lower() not in TOKEN_TYPES:
        raise invalid_token(Flaw.TOKEN_TYPE, value=_shown(kind))


def check_claims(claims: Mapping[str, Any], trust: Trust, now: datetime) -> None:
    """RFC 9068 section 4 and RFC 7519 section 4.1, with a clock skew of 30 s. Errors: INVALID_TOKEN."""
    if claims.get("iss") != trust.issuer:
        raise invalid_token(Flaw.ISSUER)
    audience = claims.get("aud")
    if trust.audience not in (audience if isinstance(audience, list) else [audience]):
        raise invalid_token(Flaw.AUDIENCE, value=trust.audience)
    expires, issued = _moment(claims, "exp"), _moment(claims, "iat")
    if now >= expires + CLOCK_SKEW:
        raise invalid_token(Flaw.EXPIRED, value=_written(expires))
    if issued > now + CLOCK_SKEW:
        raise invalid_token(Flaw.ISSUED_LATER, value=_written(issued))
    if "nbf" in claims and (begins := _moment(claims, "nbf")) > now + CLOCK_SKEW:
        raise invalid_token(Flaw.NOT_YET, value=_written(begins))
    subject_of(claims, trust)


def subject_of(claims: Mapping[str, Any], trust: Trust) -> str:
    """The subject the issuer knows the caller by."""
    subject = claims.get(trust.subject_claim)
    if not isinstance(subject, str) or not subject or "\0" in subject:
        raise invalid_token(Flaw.MISSING, value=trust.subject_claim)
    return subject


def expiry_of(claims: Mapping[str, Any]) -> datetime:
    """When a checked token ends, the clock skew included."""
    return _moment(claims, "exp") + CLOCK_SKEW


def named_tenant(claims: Mapping[str, Any]) -> str | None:
    """The tenant a token names, if it names one."""
    named = claims.get(TENANT_CLAIM)
    if named is not None and not isinstance(named, str):
        raise invalid_token(Flaw.MISSING, value=TENANT_CLAIM)
    return named


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    seconds = claims.get(name)
    # Within the years a datetime can hold, with room for the skew; a bool is an int to Python, not to JSON.
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 250_000_000_000:
        raise invalid_token(Flaw.MISSING, value=name)
    return datetime.fromtimestamp(seconds, UTC)


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(value: object) -> str:
    return f"'{value:.40}'" if isinstance(value, str) else "absent"


def scopes_of(claims: Mapping[str, Any], kind: MemberKind) -> frozenset[Permission] | None:
    """What the token allows of what the member may do; None does not narrow.

    A client has exactly the scopes of its token. A person's token narrows only when it names permissions: `openid
    profile` says nothing about them.
    """
    scope = claims.get("scope")
    words = scope.split() if isinstance(scope, str) else []
    named = frozenset(p for p in Permission if p.value in words)
    return named if named or kind is MemberKind.CLIENT else None


_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_SPACE: Final = re.compile(r"[!-~]{1,500}")


def checked_address(value: str, path: str) -> str:
    """An address tokens or keys may come from. Errors: BAD_ISSUER."""
    refused = BAD_ISSUER(path=(path,), value=value[:100])
    if not _NO_SPACE.fullmatch(value):
        raise refused
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise refused from error
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not host or not secure or parts.query or parts.fragment or parts.username is not None or value[-1] in "?#":
        raise refused
    return value


def checked_text(value: str, path: str, longest: int = 200) -> str:
    """A short text that says something. Errors: INVALID_INPUT."""
    if not value.strip() or len(value) > longest or not value.isprintable():
        raise INVALID_INPUT(
            path=(path,),
            reason=f"Write 1 to {longest} printable characters.",
            reason_zh=f"请填写 1 至 {longest} 个可显示字符。",
        )
    return value


@dataclass(frozen=True, slots=True)
class NewTrustedIssuer:
    """An issuer a tenant is about to trust."""

    issuer: str
    audience: str
    jwks_uri: str | None
    algorithms: tuple[str, ...]
    subject_claim: str

    def checked(self) -> NewTrustedIssuer:
        """Itself, when it can be used. Errors: BAD_ISSUER, BAD_ALGORITHM, INVALID_INPUT."""
        checked_text(self.audience, "audience")
        checked_text(self.subject_claim, "subjectClaim")
        checked_address(self.issuer, "issuer")
        if self.jwks_uri is not None:
            checked_address(self.jwks_uri, "jwksUri")
        for algorithm in self.algorithms or ("",):
            if algorithm not in ALGORITHMS:
                raise BAD_ALGORITHM(path=("algorithms",), value=algorithm, allowed=", ".join(ALGORITHMS))
        return self


things_in_chinese({"TrustedIssuer": "受信任签发方", "PartnerClient": "合作系统客户端"})


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer whose access tokens a tenant accepts."""

    id: UUID
    issuer: str
    audience: str
    jwks_uri: str | None
    algorithms: tuple[str, ...]
    subject_claim: str
    added_at: datetime

    def trust(self) -> Trust:
        return Trust(
            self.issuer, self.audience, self.algorithms, self.jwks_uri, self.subject_claim, member_issuer=self.issuer
        )


class ClientStatus(StrEnum):
    """Whether a partner client may get tokens."""

    ACTIVE = "ACTIVE"
    """It may."""
    REVOKED = "REVOKED"
    """Never again; its tokens are refused too."""


PARTNER_SCOPES: Final = tuple(sorted(p.value for p in ROLES[Role.PARTNER_CLIENT]))


@dataclass(frozen=True, slots=True)
class NewPartnerClient:
    """A partner system about to be let in, at an organisation and below (None: the whole tenant)."""

    name: str
    organisation_id: UUID | None
    scopes: tuple[str, ...]

    def checked(self) -> NewPartnerClient:
        """Itself, scopes in order and once each; all of them when none is named. Errors: BAD_SCOPE, INVALID_INPUT."""
        checked_text(self.name, "name")
        for scope in self.scopes:
            if scope not in PARTNER_SCOPES:
                raise BAD_SCOPE(path=("scopes",), value=scope, allowed=tuple(map(Permission, PARTNER_SCOPES)))
        return NewPartnerClient(
            self.name, self.organisation_id, tuple(sorted(set(self.scopes))) if self.scopes else PARTNER_SCOPES
        )


@dataclass(frozen=True, slots=True)
class PartnerClient:
    """A partner system with credentials of its own. Its secret is never part of it."""

    id: UUID
    client_id: str
    member_id: UUID
    name: str
    scopes: tuple[str, ...]
    status: ClientStatus
    created_at: datetime


def checked_overlap(hours: int) -> timedelta:
    """How long a rotated secret still works. Errors: BAD_OVERLAP."""
    most = int(MAX_OVERLAP / timedelta(hours=1))
    if not 0 <= hours <= most:
        raise BAD_OVERLAP(path=("overlapHours",), asked=hours, most=most)
    return timedelta(hours=hours)


def checked_lifetime(lifetime: timedelta) -> timedelta:
    """How long a token we sign lives. Errors: LIFETIME_TOO_LONG."""
    if not timedelta(0) < lifetime <= MAX_LIFETIME:
        hour = timedelta(hours=1)
        raise LIFETIME_TOO_LONG(path=("lifetime",), asked=round(lifetime / hour, 3), most=int(MAX_LIFETIME / hour))
    return lifetime
