"""The chain over transfers: whole as posted, broken as soon as anybody touches a row, provable one by one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.kit.graphql.nodes import from_id
from backend.ledger import seals
from backend.ledger.seals import Anchor
from backend.ledger.verify import BrokenError, climb, merkle_path, merkle_root, verify, verify_proof
from tenants.access import Role
from tests.fixtures.ledger import POSTED, RESULTS, Group, a_lot, key, moved, used
from tests.fixtures.world import World

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def busy(group: Group) -> Group:
    """A lot with serials and odd words, single postings at once, a batch, a reversal, a surrender."""
    serial = {"prefix": "C|\\", "first": "1", "last": "1000"}
    await group.issue(a_lot(group.steel, serial=serial, evidence="a|b\\n"))
    words = {"purpose": "内部|划转\\", "evidence": "第一行\n第二行"}
    await asyncio.gather(
        *(
            group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1)], **words}, POSTED)
            for _ in range(12)
        )
    )
    legs = {"kind": "TRANSFER", "legs": [moved(group.steel, group.cement, 2)]}
    await group.manager.do("postTransfers", {"transfers": [legs] * 3}, RESULTS)
    done = await group.surrender(group.steel, used(group.steel, 5))
    await group.manager.do("reverseTransfer", {"transferId": done["transfer"]["id"]}, POSTED)
    return group


@pytest.fixture
async def superuser(group: Group, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Whom no grant and, like this, no trigger stops."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


def _check_alone(module: Path, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", module, file], capture_output=True, text=True, check=False)


async def anchored(group: Group, now: datetime = datetime(2999, 1, 1, tzinfo=UTC)) -> list[Anchor]:
    """What is anchored in the owner's name at a moment."""
    return await group.world.owner.write(group.world.tenant_id, lambda unit: seals.anchor_days(unit, now))


async def broken(group: Group) -> str:
    """What the check says of a ledger that it must not find whole."""
    with pytest.raises(BrokenError) as found:
        await seals.verify(group.world.owner, group.world.tenant_id)
    return str(found.value)


async def test_whole_as_posted(busy: Group, tmp_path: Path) -> None:
    found = await seals.verify(busy.world.owner, busy.world.tenant_id)
    assert found.transfers == 1 + 12 + 3 + 2
    lines = [line + b"\n" async for line in seals.export(busy.world.owner, busy.world.tenant_id)]
    assert verify(lines).hashes == found.hashes
    file = tmp_path / "ledger.txt"
    file.write_bytes(b"".join(lines))
    # The module by itself, as an auditor gets it: nothing of this program can be imported.
    alone = tmp_path / "verify.py"
    alone.write_bytes((ROOT / "backend" / "ledger" / "verify.py").read_bytes())
    done = await asyncio.to_thread(_check_alone, alone, file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"whole: 18 transfers under {len(found.hashes)} seals")
    file.write_bytes(b"".join(lines).replace("第二行".encode(), "第三行".encode(), 1))
    done = await asyncio.to_thread(_check_alone, alone, file)
    assert (done.returncode, "is not what was sealed" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE asset_leg SET quantity_t = quantity_t + 1 WHERE transfer_id = $1", "transfer {id} is not what was"),
        ("UPDATE asset_transfer SET purpose = 'x' WHERE id = $1", "transfer {id} is not what was sealed"),
        (
            "UPDATE asset_transfer SET recorded_at = recorded_at - interval '1 microsecond' WHERE id = $1",
            "{id} is not what",
        ),
        ("DELETE FROM asset_leg WHERE transfer_id = $1", "transfer {id} is not what was sealed"),
        ("DELETE FROM asset_transfer WHERE id = $1", "transfer {id} is not what was sealed"),
        (
            "UPDATE asset_lot SET vintage = 1999 WHERE id IN (SELECT lot_id FROM asset_leg WHERE transfer_id = $1)",
            "is not what was sealed",
        ),
        ("DELETE FROM asset_seal WHERE $1 = ANY (transfer_ids)", "is missing"),
        ("UPDATE asset_seal SET sealed_at = sealed_at + interval '1 s' WHERE $1 = ANY (transfer_ids)", "the hash of"),
    ],
)
async def test_tampering_is_named(busy: Group, superuser: Any, tampering: str, said: str) -> None:
    victim = await superuser.fetchval(
        "SELECT id FROM asset_transfer WHERE tenant_id = $1 AND kind = 'TRANSFER' ORDER BY id LIMIT 1 OFFSET 2",
        busy.world.tenant_id,
    )
    await superuser.execute(tampering, victim)
    assert said.format(id=victim) in await broken(busy)


async def test_what_is_slipped_in_is_named(busy: Group, superuser: Any) -> None:
    slipped = await superuser.fetchval(
        "INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on) "
        "VALUES ($1, gen_random_uuid(), 'TRANSFER', 1, '2025-01-01') RETURNING id",
        busy.world.tenant_id,
    )
    assert await broken(busy) == f"transfer {slipped} is in no seal"


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE asset_balance SET quantity_t = quantity_t + 1000", "says 1018 t; its legs come to 18 t"),
        ("DELETE FROM asset_balance", "is missing; its legs come to 18 t"),
        ("UPDATE asset_balance SET reserved_t = 0", "says 0 t set aside; its open reservations come to 7 t"),
    ],
)
async def test_a_balance_that_its_legs_do_not_bear_out_is_named(
    busy: Group, superuser: Any, tampering: str, said: str
) -> None:
    frozen = {"aim": "FREEZE", "legs": [used(busy.cement, 7)], "purpose": "司法冻结"}
    await busy.manager.do("reserveAssets", frozen, "reservation { id }")
    await seals.verify(busy.world.owner, busy.world.tenant_id)
    account = await superuser.fetchval(
        "SELECT a.id FROM asset_account a JOIN organisation o ON o.id = a.organisation_id "
        "WHERE a.tenant_id = $1 AND o.code = 'CEMENT'",
        busy.world.tenant_id,
    )
    await superuser.execute(f"{tampering} WHERE account_id = $1", account)
    assert await broken(busy) == f"the balance of account CEMENT HOLDING and lot CEA 2024-001 {said}"


CHAIN = """query Q($t: ID!, $after: String) {
  assetChainHead { number hash previous transfers words sealedAt }
  assetTransferSeal(transferId: $t) { number hash transfers }
  assetTransferProof(transferId: $t) { transfer leaves seal { number words } path { side hash } root anchoredOn file }
  assetAnchors(first: 1, after: $after) { nodes { day firstSeal lastSeal root } pageInfo { endCursor hasNextPage } }
}"""


async def test_auditors_see_the_chain(busy: Group) -> None:
    owner, tenant = busy.world.owner, busy.world.tenant_id
    auditor = await busy.world.caller(Role.INTERNAL_AUDITOR)
    nodes = (await auditor.ask("{ assetTransfers(first: 100) { nodes { id } } }"))["assetTransfers"]["nodes"]
    whole = await seals.verify(owner, tenant)
    for anchored_yet in (False, True):
        if anchored_yet:
            (anchor,) = await anchored(busy)
        for node in nodes:
            found = await auditor.ask(CHAIN, t=node["id"])
            proof = await seals.prove(owner, tenant, from_id(node["id"])[1])
            assert orjson.loads(found["assetTransferProof"]["file"]) == proof
            told = found["assetTransferProof"]
            assert (told["root"], told["leaves"], told["seal"]["words"]) == (
                proof["root"],
                proof["leaves"],
                proof["seal"],
            )
            assert [[step["side"], step["hash"]] for step in told["path"]] == proof["path"]
            assert (told["anchoredOn"] is not None) == anchored_yet
            number = found["assetTransferSeal"]["number"]
            assert found["assetTransferSeal"]["hash"] == whole.hashes[number - 1].hex()
        assert found["assetChainHead"]["hash"] == whole.hashes[-1].hex()
        assert found["assetChainHead"]["number"] == len(whole.hashes)
    page = found["assetAnchors"]
    assert [node["root"] for node in page["nodes"]] == [anchor.root.hex()]
    assert not page["pageInfo"]["hasNextPage"]
    behind = await auditor.ask(CHAIN, t=nodes[0]["id"], after=page["pageInfo"]["endCursor"])
    assert behind["assetAnchors"]["nodes"] == []


async def test_the_chain_is_for_auditors_and_words_for_who_sees_the_transfer(busy: Group) -> None:
    nodes = (await busy.manager.ask("{ assetTransfers(first: 1) { nodes { id } } }"))["assetTransfers"]["nodes"]
    refused = await busy.manager.run(CHAIN, t=nodes[0]["id"])
    assert {e["extensions"]["code"] for e in refused.errors or ()} == {"FORBIDDEN"}
    elsewhere = await busy.world.member((Role.INTERNAL_AUDITOR, key(busy.head)))
    other = await Group.create(await World.create(busy.world.owner, busy.world.services))
    stranger = await other.world.caller(Role.INTERNAL_AUDITOR)
    await elsewhere.ask(CHAIN, t=nodes[0]["id"])
    refused = await stranger.run("query Q($t: ID!) { assetTransferProof(transferId: $t) { root } }", t=nodes[0]["id"])
    assert [e["extensions"]["code"] for e in refused.errors or ()] == ["NOT_FOUND"]
    assert (await stranger.ask("{ assetChainHead { number } }"))["assetChainHead"] is None


async def test_a_ledger_rewritten_as_a_whole_does_not_fit_its_anchor(busy: Group, superuser: Any) -> None:
    midnight = datetime.combine(datetime.now(UTC).date() + timedelta(days=1), time(), UTC)
    assert await anchored(busy, midnight + timedelta(minutes=9)) == [], "something of the day may still be sealed"
    (anchor,) = await anchored(busy, midnight + timedelta(minutes=11))
    assert await anchored(busy, midnight + timedelta(minutes=11)) == []
    assert (await seals.verify(busy.world.owner, busy.world.tenant_id)).transfers == 18
    lines = [line async for line in seals.export(busy.world.owner, busy.world.tenant_id)]
    # Everything from the last seal on was cut off, and the anchor moved along: it is over other seals.
    last = max(i for i, line in enumerate(lines) if line.startswith(b"S|"))
    number = anchor.last_seal - 1
    forged = [*lines[:last], f"A|{anchor.day}|1|{number}|{anchor.root.hex()}".encode()]
    with pytest.raises(BrokenError, match="over other seals"):
        verify(forged)
    with pytest.raises(BrokenError, match="do not follow or are not there"):
        verify([*lines[:last], lines[-1]])


async def test_each_transfer_can_be_proved(busy: Group) -> None:
    owner, tenant = busy.world.owner, busy.world.tenant_id
    found = await busy.manager.ask("{ assetTransfers(first: 100) { nodes { id } } }")
    keys = [from_id(node["id"])[1] for node in found["assetTransfers"]["nodes"]]
    assert verify_proof(await seals.prove(owner, tenant, keys[0]))
    (anchor,) = await anchored(busy)
    for transfer in keys:
        proof = orjson.loads(orjson.dumps(await seals.prove(owner, tenant, transfer)))
        assert verify_proof(proof) == anchor.root.hex()
    with pytest.raises(BrokenError, match="none of the leaves"):
        verify_proof(proof | {"transfer": proof["transfer"] + "0"})
    with pytest.raises(BrokenError, match="other leaves"):
        verify_proof(proof | {"leaves": [*proof["leaves"], "00" * 32]})
    for no_proof in ({}, {"leaves": 1}, proof | {"seal": "x"}, proof | {"leaves": ["?"]}):
        with pytest.raises(BrokenError, match="no proof of inclusion"):
            verify_proof(no_proof)
    with pytest.raises(BrokenError, match="does not lead"):
        verify_proof(proof | {"seal": proof["seal"].replace("seal|", "seal|1", 1)})


@pytest.mark.parametrize("table", ["asset_seal", "asset_anchor"])
@pytest.mark.parametrize("role", ["tanheng_app", "tanheng_worker", "tanheng_auditor", "tanheng_owner"])
async def test_seals_stand(busy: Group, database_url: str, role: str, table: str) -> None:
    await anchored(busy)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {role}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(busy.world.tenant_id))
    column = "hash" if table == "asset_seal" else "root"
    for statement in (f"UPDATE {table} SET {column} = ''", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(asyncpg.exceptions.PostgresError) as refused:
            await connection.execute(statement)
        expected = {"TH003"} if role == "tanheng_owner" else {"42501", "25006"}
        assert str(getattr(refused.value, "sqlstate", "")) in expected, statement
    if role != "tanheng_owner":
        with pytest.raises(asyncpg.exceptions.PostgresError):
            await connection.execute(f"INSERT INTO {table} SELECT * FROM {table}")
    await connection.close()


@given(leaves=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), data=st.data())
def test_every_leaf_climbs_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle_path(leaves, place)
    assert climb(leaves[place], path) == merkle_root(leaves)
    other: Callable[[bytes], bytes] = lambda leaf: bytes(255 - b for b in leaf)  # noqa: E731
    assert climb(other(leaves[place]), path) != merkle_root(leaves)


def test_no_export_is_no_ledger(tmp_path: Path) -> None:
    for lines in ([], [b"x"], [b"tanheng-ledger|1|" + str(UUID(int=1)).encode(), b"Q|"]):
        with pytest.raises(BrokenError):
            verify(lines)
