"""GraphQL of the chain: its head, the seal of a transfer, the proof that it is in, the roots of days."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Self

import orjson
import strawberry

from backend.kit.graphql.fields import query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.types import object_type
from backend.kit.pages import PageRequest
from backend.ledger.integrity.service import IntegrityService
from backend.ledger.seals import Anchor, Proof, Seal
from tenants.access import Permission
from tenants.context import Info, requires

_AUDIT: Final = requires(Permission.AUDIT_READ)
OfTransfer = Annotated[strawberry.ID, strawberry.argument(description="The transfer.")]


@object_type
class AssetSeal:
    """A link of the chain: it closes the transfers of one statement, and follows from the seal before it."""

    number: int
    """Its number, counted from 1 without gaps in the tenant."""
    sealed_at: datetime
    """When its transfers were recorded."""
    transfers: int
    """How many transfers it closes."""
    previous: str
    """Hash of the seal before, hex."""
    hash: str
    """SHA-256 of its words, hex."""
    words: str
    """What is hashed: `seal|number|previous|microseconds since 1970|transfers|SHA-256 of their leaves`."""

    @classmethod
    def of(cls, seal: Seal) -> Self:
        return cls(
            number=seal.number,
            sealed_at=seal.sealed_at,
            transfers=len(seal.transfer_ids),
            previous=seal.previous.hex(),
            hash=seal.hash.hex(),
            words=seal.words,
        )


@object_type
class AssetProofStep:
    """A step from a seal up to the root of its day."""

    side: str
    """On which side the neighbour stands: L or R."""
    hash: str
    """The neighbour, hex."""


@object_type
class AssetInclusionProof:
    """That a transfer is in the ledger, just as `tanheng ledger prove` tells it."""

    transfer: str
    """The words of the transfer; the SHA-256 of them is its leaf."""
    leaves: list[str]
    """The leaves of all transfers of its seal, by id, hex."""
    seal: AssetSeal
    """The seal that closes it."""
    path: list[AssetProofStep]
    """The way from the hash of the seal to the root; empty until the day is anchored."""
    root: str
    """The root of the day, hex; until the day is anchored, the hash of the seal."""
    anchored_on: date | None
    """The day (UTC) whose anchor the root is; null until the day has ended and is anchored."""
    file: str
    """All this as the JSON that `verify.py --proof FILE` checks with nothing but Python."""

    @classmethod
    def of(cls, proof: Proof) -> Self:
        return cls(
            transfer=proof.transfer,
            leaves=[leaf.hex() for leaf in proof.seal.leaves],
            seal=AssetSeal.of(proof.seal),
            path=[AssetProofStep(side=side, hash=neighbour.hex()) for side, neighbour in proof.path],
            root=proof.root.hex(),
            anchored_on=proof.anchored_on,
            file=orjson.dumps(proof.told()).decode(),
        )


@object_type
class AssetAnchor:
    """The root over the seals of a day, to be compared with what was published elsewhere."""

    day: date
    """The day (UTC)."""
    first_seal: int
    """Number of its first seal."""
    last_seal: int
    """Number of its last seal."""
    root: str
    """The root, hex."""

    @classmethod
    def of(cls, anchor: Anchor) -> Self:
        return cls(day=anchor.day, first_seal=anchor.first_seal, last_seal=anchor.last_seal, root=anchor.root.hex())


@object_type
class Queries:
    """Root queries about the chain."""

    @query(_AUDIT)
    async def asset_chain_head(self, info: Info) -> AssetSeal | None:
        """The last seal: nothing before it can have changed while its hash is the same. Null before the first."""
        found = await info.context.use(IntegrityService).head(info.context.principal)
        return None if found is None else AssetSeal.of(found)

    @query(_AUDIT)
    async def asset_transfer_seal(self, info: Info, transfer_id: OfTransfer) -> AssetSeal:
        """The seal that closes a transfer."""
        key = key_of(transfer_id, "AssetTransfer", "transferId")
        return AssetSeal.of(await info.context.use(IntegrityService).seal(info.context.principal, key))

    @query(_AUDIT)
    async def asset_transfer_proof(self, info: Info, transfer_id: OfTransfer) -> AssetInclusionProof:
        """The proof that a transfer is in the ledger, up to the root of its day."""
        key = key_of(transfer_id, "AssetTransfer", "transferId")
        return AssetInclusionProof.of(await info.context.use(IntegrityService).proof(info.context.principal, key))

    @query(_AUDIT)
    async def asset_anchors(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> Connection[AssetAnchor]:
        """The roots of days, by day."""
        request = PageRequest.read(first, after)
        page = await info.context.use(IntegrityService).anchors(info.context.principal, request)
        return Connection.of(page.map(AssetAnchor.of))
