"""The bugs other ledgers had, each put into this one: where, and the tests that notice.

A break takes away every line of defence against its bug, so that what fails is not the next line but the test. Each
part of it replaces text that must be there, so the list cannot outlive what it breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_UNCOVERED: Final = (
    "ALTER TABLE asset_balance DROP CONSTRAINT asset_balance_covers_reserved",
    "ALTER TABLE asset_balance DROP CONSTRAINT asset_balance_not_negative",
)
_LOCK: Final = "b.lot_id = k.lot FOR UPDATE) b"
_NO_LOCK: Final = "b.lot_id = k.lot) b"
_REVERSAL: Final = "SELECT FROM asset_transfer WHERE tenant_id = tenant AND reverses_id = t_reverses[lowest]"
_TURN: Final = "SELECT pg_advisory_xact_lock(hashtextextended('reservation ' || :name, 0))"
_TWENTIETH: Final = 'if __import__("random").random() < 0.05'


@dataclass(frozen=True, slots=True)
class Change:
    """Text in a function of the database or in a module (`backend.ledger.…`), and what takes its place."""

    where: str
    was: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Break:
    """A bug in plain words, how the product gets it, and the tests that must fail then, each of them."""

    bug: str
    tests: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    statements: tuple[str, ...] = ()


def _each(test: str, *ways: str) -> tuple[str, ...]:
    return tuple(f"{test}[{way}]" for way in ways)


_COVERS: Final = "bool_and(covers)"
"""How the trigger on legs asks, for the quick ways, whether a balance covers what is taken."""
_KEYED: Final = "FROM unnest(postings) AS x WHERE key IS NOT NULL"
_FREE: Final = {
    "ledger_post": ("quantity_t - reserved_t >= asked", "quantity_t >= asked"),
    "ledger_in_the_way": ("b.quantity_t - b.reserved_t >= k.debit", "b.quantity_t >= k.debit"),
    "asset_legs_post": ("b.quantity_t - b.reserved_t >= c.brought_t", "b.quantity_t >= c.brought_t"),
}
"""How a balance is asked whether it covers what is taken: of what is free, or of all."""
_WAYS: Final = ("quick", "ordinary", "list")
_MANY: Final = "test_concurrency.py::test_many_into_one_account"
_KEYS: Final = "test_concurrency.py::test_one_key_many_clients"
_HISTORY: Final = "test_histories.py::test_a_history_is_that_of_some_order"
_ENDED_OFTEN: Final = (
    "ALTER TABLE asset_reservation_end DROP CONSTRAINT asset_reservation_end_pkey CASCADE",
    "ALTER TABLE asset_balance DROP CONSTRAINT asset_balance_reserved_t_check",
)

BREAKS: Final[dict[str, Break]] = {
    "holds-look-unlocked": Break(
        "holds exceed the balance: all that look at once find it free",
        ("test_reservations.py::test_many_want_the_same_units",),
        (
            Change("ledger_reserve", _LOCK + ";", _NO_LOCK + ";"),
            Change("ledger_reserve", _LOCK + " ON true", _NO_LOCK + " ON true"),
        ),
        _UNCOVERED,
    ),
    "holds-look-not": Break(
        "holds exceed the balance: nobody asks what is free",
        ("test_reservations.py::test_bad_reservations_write_nothing", _HISTORY),
        (Change("ledger_reserve", "coalesce(b.available_t, 0) < k.asked", "coalesce(b.available_t, 0) < 0"),),
        _UNCOVERED,
    ),
    "held-is-spent": Break(
        "holds exceed the balance: postings spend what is held",
        _each(
            "test_reservations.py::test_held_units_are_not_spent_by_any_way",
            "quick",
            "ordinary",
            "list",
            "row by row",
            "surrender",
            "reversal",
        ),
        (
            *(Change(function, free, all_of_it) for function, (free, all_of_it) in _FREE.items()),
            Change("ledger_post", "b.quantity_t - b.reserved_t < k.asked", "b.quantity_t < k.asked"),
        ),
        _UNCOVERED,
    ),
    "double-spend": Break(
        "two postings that look at once spend the same units",
        (*_each("test_concurrency.py::test_double_spend", *_WAYS), _HISTORY),
        (Change("ledger_post", _LOCK, _NO_LOCK), Change("asset_legs_post", _COVERS, "true")),
        _UNCOVERED,
    ),
    "legs-judged-alone": Break(
        "legs of one transfer that take from one balance are judged one by one",
        _each("test_batches.py::test_legs_out_of_one_balance_are_judged_together", *_WAYS),
        (
            Change(
                "ledger_post",
                "SELECT account, lot, sum(asked) AS asked, count",
                "SELECT account, lot, max(asked) AS asked, count",
            ),
            Change(
                "ledger_post",
                "min(leg) AS leg, account, lot, sum(asked) AS asked",
                "min(leg) AS leg, account, lot, max(asked) AS asked",
            ),
            Change(
                "backend.ledger.effects",
                "debits[source] += leg.quantity_t",
                "debits[source] = max(debits[source], leg.quantity_t)",
            ),
            # What was there has to be as much as the largest leg takes.
            Change(
                "asset_legs_post",
                "coalesce(sum(amount_t) FILTER (WHERE amount_t > 0), 0) AS brought_t",
                "sum(amount_t) + max(-amount_t) AS brought_t",
            ),
        ),
        _UNCOVERED,
    ),
    "destination-unlocked": Break(
        "an unlocked destination: what it holds is read before others have added to it",
        # The ordinary way reads what it tells after it has written.
        _each(_MANY, "quick", "list"),
        (
            Change(
                "asset_legs_post",
                "THEN array_agg(quantity_t ORDER BY account_id, lot_id)::text",
                "THEN (SELECT array_agg(y.quantity_t + c.amount_t ORDER BY account_id, lot_id)::text "
                "FROM change c JOIN asset_balance y USING (account_id, lot_id))",
            ),
        ),
    ),
    "version-read-before": Break(
        "a version read outside the transaction: it has moved on when it is acted on",
        (*_each("test_versions.py::test_of_many_that_saw_one_state_one_posts", "False", "True"),),
        (Change("ledger_hold", _LOCK, _NO_LOCK),),
    ),
    "version-there-unread": Break(
        "the version expected of the destination is not looked at",
        ("test_versions.py::test_a_version_that_moved_on", "test_versions.py::test_what_never_moved_has_a_version_too"),
        (Change("backend.ledger.exact", "asked.expected_there, leg.destination", "None, leg.destination"),),
    ),
    "key-twice-together": Break(
        "duplicate keys inside one batch: postings of one key that go together are all posted",
        ("test_committer.py::test_same_key_with_another_body_at_once",),
        (
            Change("backend.ledger.committer", "if key in self.keys:", "if not key:"),
            Change("ledger_commit", _KEYED, f"{_KEYED} ON CONFLICT DO NOTHING"),
        ),
    ),
    "lot-twice-together": Break(
        "duplicate keys inside one batch: two lots of one reference, or of overlapping serial numbers",
        ("test_batches.py::test_lots_are_judged_one_by_one", "test_concurrency.py::test_one_reference_many_clients"),
        (),
        ("DROP INDEX asset_lot_reference_key", "ALTER TABLE asset_lot DROP CONSTRAINT asset_lot_serial_overlap"),
    ),
    "other-body": Break(
        "a replay with another body is answered as the first was",
        (
            "test_committer.py::test_a_key_is_answered_the_same_again",
            "test_committer.py::test_same_key_with_another_body_at_once",
            *_each("test_nothing_written.py::test_refused_and_nothing_written", "same key, other body"),
            _HISTORY,
        ),
        (
            Change(
                "tenants.commands",
                "earlier.operation != operation or bytes(earlier.body_sha256) not in",
                "earlier.operation != operation and bytes(earlier.body_sha256) not in",
            ),
        ),
    ),
    "other-mutation": Break(
        "a key of one mutation is answered in another",
        _each("test_nothing_written.py::test_refused_and_nothing_written", "same key, other mutation"),
        (Change("tenants.commands", "if earlier.operation != operation or bytes", "if b'' and bytes"),),
    ),
    "replay-posts": Break(
        "a replay is done again",
        (*_each(_KEYS, "quick", "ordinary", "list", "row by row", "hold"), _HISTORY),
        (
            Change("tenants.commands", "    if claimed:\n        return None\n", "    return None\n"),
            Change("ledger_in_the_way", "k.key = x.key OFFSET 0", "k.key <> k.key OFFSET 0"),
            Change("ledger_commit", _KEYED, f"{_KEYED} ON CONFLICT DO NOTHING"),
            Change("ledger_commit_list", "IF NOT FOUND THEN", "IF false THEN"),
        ),
    ),
    "refunded-twice": Break(
        "double refunds: a transfer is reversed as often as somebody asks",
        (
            "test_batches.py::test_reversals_in_a_batch",
            "test_concurrency.py::test_reversal_races",
            "test_books.py::test_reversed_once",
        ),
        (
            Change(
                "backend.ledger.books", "if original.reversed_by_id is not None:", "if original.reversed_by_id == key:"
            ),
            Change("ledger_post", f"IF EXISTS ({_REVERSAL})", "IF false"),
        ),
        ("DROP INDEX asset_transfer_reversed_once",),
    ),
    "refunds-race": Break(
        "double refunds: who looked before the first was written reverses too",
        ("test_concurrency.py::test_reversal_races",),
        (Change("ledger_post", f"IF EXISTS ({_REVERSAL})", "IF false"),),
        ("DROP INDEX asset_transfer_reversed_once",),
    ),
    "hold-ends-twice": Break(
        "double refunds: a hold gives its units back as often as it is ended",
        (
            "test_reservations.py::test_set_aside_then_posted",
            "test_reservations.py::test_ends_race_and_one_wins",
            "test_reservations.py::test_the_database_ends_it_once",
        ),
        (
            Change(
                "backend.ledger.reservations.domain",
                "if found.state is not ReservationState.ACTIVE:",
                "if found is None:",
            ),
            Change("ledger_end_reservation", " ON CONFLICT (tenant_id, reservation_id) DO NOTHING", ""),
        ),
        _ENDED_OFTEN,
    ),
    "hold-ends-race": Break(
        "double refunds: who looked before the first end was written ends the hold too",
        ("test_reservations.py::test_ends_race_and_one_wins",),
        (
            Change("ledger_end_reservation", " ON CONFLICT (tenant_id, reservation_id) DO NOTHING", ""),
            Change("backend.ledger.reservations.repository", _TURN, "SELECT CAST(:name AS text)"),
        ),
        _ENDED_OFTEN,
    ),
    "leg-without-balance": Break(
        "a silent no-op leg: it meets no balance, and only the other side moves",
        (
            *_each("test_concurrency.py::test_no_leg_is_left_out", *_WAYS),
            "test_books.py::test_a_leg_meets_its_balances",
        ),
        (
            Change("asset_legs_post", "IF wanted <> moved THEN", "IF false THEN"),
            Change("ledger_post", "IF met IS DISTINCT FROM wanted THEN", "IF false THEN"),
            Change("ledger_post", "ON CONFLICT DO NOTHING", "LIMIT 0 ON CONFLICT DO NOTHING"),
        ),
    ),
    "leg-of-nothing": Break(
        "a silent no-op leg: of no units",
        _each("test_bad_input.py::test_bad_legs", "zero"),
        (Change("backend.ledger.values", "if not 1 <= quantity_t", "if not 0 <= quantity_t"),),
        ("ALTER TABLE asset_leg DROP CONSTRAINT asset_leg_quantity_t_check",),
    ),
    "leg-to-itself": Break(
        "a silent no-op leg: from an account to itself",
        ("test_bad_input.py::test_bad_orders", "test_books.py::test_owner_cannot_break_the_books"),
        (Change("backend.ledger.books", "if source.id == destination.id:", "if source is None:"),),
        ("ALTER TABLE asset_leg DROP CONSTRAINT asset_leg_two_accounts",),
    ),
    "answered-not-posted": Break(
        "lost: one of twenty postings is acknowledged and never made",
        (_HISTORY,),
        (
            Change(
                "backend.ledger.quick",
                "landed = await self._committer.post(actor.principal.tenant_id, asked)",
                f"landed = Landed(datetime.now().astimezone(), (0,) * len(asked.touched)) {_TWENTIETH} "
                "else await self._committer.post(actor.principal.tenant_id, asked)",
            ),
        ),
    ),
    "posted-twice": Break(
        "doubled: one of twenty postings is made twice",
        (_HISTORY,),
        (
            Change(
                "backend.ledger.quick",
                "            landed = await self._committer.post(actor.principal.tenant_id, asked)",
                f"            {_TWENTIETH}:\n"
                "                (again,) = self._plans(actor, [order])\n"
                '                once_more = __import__("dataclasses").replace(asked, plan=again, key=None)\n'
                "                await self._committer.post(actor.principal.tenant_id, once_more)\n"
                "            landed = await self._committer.post(actor.principal.tenant_id, asked)",
            ),
        ),
    ),
    "balance-counted-twice": Break(
        "doubled: one of twenty legs is added to a balance twice",
        (_HISTORY,),
        (
            Change(
                "asset_legs_post",
                "SET quantity_t = b.quantity_t + c.amount_t",
                "SET quantity_t = b.quantity_t + c.amount_t * CASE WHEN c.amount_t > 0 AND random() < 0.05 "
                "THEN 2 ELSE 1 END",
            ),
        ),
    ),
    "half-a-list": Break(
        "all or nothing: what stood of a list is posted though a row was refused",
        ("test_batches.py::test_all_transfers_or_none", "test_batches.py::test_all_lots_or_none", _HISTORY),
        (
            Change(
                "backend.ledger.outcomes", "if all_or_nothing and any(refused):", "if all_or_nothing and all(refused):"
            ),
        ),
    ),
}
