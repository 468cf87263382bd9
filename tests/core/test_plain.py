"""What is not plain JSON is refused with where it stands, what it is, and how else to write it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from sagas.core.plain import NotPlain, plain

CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
ABYSS: list[Any] = [object()]
for _ in range(100_000):
    ABYSS = [ABYSS]


class Size(IntEnum):
    LARGE = 3


class Card:
    pass


class Parcel(BaseModel):
    to: str


REFUSED: list[tuple[Any, str]] = [
    (date(2026, 1, 1), "data is a date; write it as text"),
    ({"x": {"y": [date(2026, 1, 1)]}}, "data.x.y[0] is a date; write it as text"),
    ({"at": [1, (2, datetime.now(UTC))]}, "data.at[1][1] is a datetime; write it as text"),
    ({"late": timedelta(1), "at": date(2026, 1, 1)}, "data.late is a timedelta; write it as text"),
    ({"id": uuid4()}, "data.id is a UUID; write it as text"),
    ({"price": Decimal("1.5")}, "data.price is a Decimal; write it as text"),
    ({"raw": b"x"}, "data.raw is bytes; write it as text"),
    ({"tags": {1, 2}}, "data.tags is a set; write it as a list"),
    ({"rows": range(3)}, "data.rows is a range; write it as a list"),
    ({"more": MappingProxyType({})}, "data.more is a mappingproxy; write it as a dict"),
    ({"card": Card()}, "data.card is a Card, which is not plain JSON"),
    ({"parcel": Parcel(to="Ada")}, "data.parcel is a Parcel; write it as its model_dump(mode='json')"),
    ({"half": float("nan")}, "data.half is nan, which JSON has no room for"),
    ([1.5, float("-inf")], "data[1] is -inf, which JSON has no room for"),
    ([10**5000], "data[0] has more digits than Python writes"),
    ({"by": {(1, 2): 3}}, "data.by has the key (1, 2), which is no text"),
    ({"a": ["ok", "a\x00b"]}, "data.a[1] contains the NUL character"),
    ({"a\x00": 1}, "data has the key 'a\\x00', which contains the NUL character"),
    ({"a": "\ud800"}, "data.a contains half a character (a lone surrogate)"),
    (CIRCLE, "data is nested more than 200 levels deep, or contains itself"),
    (ABYSS, "data is nested more than 200 levels deep, or contains itself"),
]


@pytest.mark.parametrize(("value", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_is_not_plain_is_told_with_its_place_and_a_way_out(value: Any, says: str) -> None:
    with pytest.raises(NotPlain) as refused:
        plain(value, "data")
    assert str(refused.value) == says


class Broken(dict[str, Any]):
    """Whoever asks for its parts hears of its own trouble."""

    def items(self) -> Any:
        raise LookupError("the row is gone")

    def __iter__(self) -> Any:
        raise LookupError("the row is gone")


class Gone:
    """Does not bear to be looked at: as a lazy object whose row is gone."""

    @property
    def __class__(self) -> Any:
        raise LookupError("the row is gone")


@pytest.mark.parametrize("kind", [Broken, Gone])
@pytest.mark.parametrize("inside", [False, True])
def test_what_fails_when_it_is_looked_at_is_refused_like_all_that_is_not_plain(
    kind: Any, inside: bool
) -> None:
    value = kind() if kind is Gone else kind(a=1)
    with pytest.raises(NotPlain, match=r"result cannot be read: LookupError: the row is gone"):
        plain({"customer": value} if inside else value, "result")


def test_a_coroutine_is_taken_for_a_forgotten_await() -> None:
    async def price() -> int:
        return 7

    forgotten = price()
    with pytest.raises(NotPlain, match=r"result\.price is a coroutine: did you forget await\?"):
        plain({"price": forgotten}, "result")
    forgotten.close()


@pytest.mark.parametrize(
    ("value", "read_back"),
    [
        ({"size": Size.LARGE, "pair": (1, None)}, {"size": 3, "pair": [1, None]}),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        ({"text": "\\u0000"}, {"text": "\\u0000"}),
    ],
)
def test_what_is_plain_is_returned_as_it_will_be_read_back(value: Any, read_back: Any) -> None:
    assert plain(value) == read_back
