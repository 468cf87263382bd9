"""The books of the demo's order, beside the ledger: the shop's in the desk's database, the carrier's in a file."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

Row = dict[str, Any]
#: Reads a table of the desk's database, in an order.
Rows = Callable[[str, str], list[Row]]

#: The steps of an order -> what their service has done, and what it has answered.
SHOP = {
    "reserve_inventory": ("participants_reservation", "participants_inventoryinbox"),
    "process_payment": ("participants_ledgerentry", "participants_paymentinbox"),
    "send_confirmation": ("participants_notice", "participants_notificationinbox"),
}
CARRIER = "create_shipment"
#: What no clock of ours was asked for: when an effect was taken back.
SOMEWHEN = 1.0


class Books:
    """What an order's services have done and answered, in the ledger's words."""

    def __init__(self, rows: Rows, folder: Path) -> None:
        self.effects: list[Row] = []
        self.replies: dict[str, Row] = {}
        for step, (table, inbox) in SHOP.items():
            self.effects += _shop_effects(step, rows(table, "id"))
            self.replies |= {row["key"]: _reply(row["outcome"], row["reply"]) for row in rows(inbox, "key")}
        with closing(sqlite3.connect(f"file:{folder / 'carrier.sqlite3'}?mode=ro", uri=True)) as file:
            self.effects += [
                _effect(key, saga, CARRIER, undone=bool(cancelled))
                for key, saga, cancelled in file.execute("SELECT key, saga, cancelled FROM pickup")
            ]
            answered = file.execute("SELECT key, outcome, reply FROM inbox")
            self.replies |= {key: _reply(outcome, json.loads(reply)) for key, outcome, reply in answered}


def _shop_effects(step: str, entries: list[Row]) -> Iterator[Row]:
    """Yield what was done; what undoes it is noted in its own row, or is a row that names it."""
    undone = {entry["undoes_id"] for entry in entries if entry.get("undoes_id")}
    for entry in entries:
        if not entry.get("undoes_id"):
            gone = entry["id"] in undone or entry.get("released_at") is not None
            yield _effect(entry["key"], entry["saga_id"], step, undone=gone)


def _effect(key: str, saga: str, step: str, *, undone: bool) -> Row:
    when = SOMEWHEN if undone else None
    return {"key": key, "saga": saga, "step": step, "plain": 0, "undone_at": when}


def _reply(outcome: str, reply: Any) -> Row:
    """A tombstone is a no."""
    return {"verdict": "completed" if outcome == "completed" else "rejected", "result": reply}
