"""The search box: which saga is meant by what a person typed, or pasted from a page, a log or a participant."""

import re
from uuid import UUID

from sagas.core.ids import id_range
from sagas.dashboard.filters import Filters
from sagas.models import Saga

#: Digits of an id's beginning, at least: fewer may be the number of an order.
LEAST = 8
#: An id's end, as the pages show it.
_END = re.compile(r"(?:…|\.{3})?([0-9a-f]{8})")
#: Spellings of a correlation id's beginning that are followed at once; each letter of each asks the index.
SPELLINGS = 16
#: So many of the newest sagas are looked at for an id's end, which no index has.
NEWEST = 100_000


def find(text: str) -> UUID | Filters | None:
    """Return the saga that is meant, or the list of those that may be; None if it is none.

    What has an index is asked first.
    """
    return _of_key(text) or _named(text) or _begun(text) or _correlated(text) or _ended(text)


def _of_key(text: str) -> UUID | None:
    """Look up an id, or an idempotency key, which begins with one."""
    first, last = id_range(text.partition(":")[0]) or (None, None)
    return first if first is not None and first == last and Saga.objects.filter(pk=first).exists() else None


def _named(correlation_id: str) -> UUID | None:
    named = list(Saga.objects.filter(correlation_id=correlation_id).values_list("pk", flat=True)[:2])
    return named[0] if len(named) == 1 else None


def _begun(text: str) -> UUID | Filters | None:
    if len(text.replace("-", "")) < LEAST or not id_range(text):
        return None
    listed = Filters(id=text)
    found = list(listed.apply().values_list("pk", flat=True)[:2])
    return found[0] if len(found) == 1 else listed if found else None


def _correlated(text: str) -> UUID | Filters | None:
    """Look for how a correlation id begins: as it was typed, in small letters, in capitals, or in whatever case."""
    written = (each for each in dict.fromkeys((text, text.lower(), text.upper())) if _begins_one(each))
    spelling = next(written, None) or _spelled(text)
    return _named(spelling) or Filters(correlation=spelling) if spelling else None


def _begins_one(spelling: str) -> bool:
    """Whether a correlation id begins so; it is a range of the index."""
    return Filters(correlation=spelling).apply().exists()


def _spelled(text: str) -> str | None:
    """Return how a correlation id that begins so is written, whatever the case of its letters; None if none does.

    Letter by letter: no index knows of case, but of all the spellings of a beginning few are the beginning of an id.
    """
    spellings = [""]
    for letter in text:
        cases = dict.fromkeys((letter, letter.lower(), letter.upper()))
        spellings = [begun + case for begun in spellings for case in cases]
        if len(cases) > 1:
            spellings = [each for each in spellings if _begins_one(each)]
        if not 0 < len(spellings) <= SPELLINGS:
            return None
    return next(filter(_begins_one, spellings), None)


def _ended(text: str) -> UUID | None:
    end = _END.fullmatch(text.lower())
    if not end:
        return None
    newest = Saga.objects.order_by("-pk").values_list("pk", flat=True)
    oldest = next(iter(newest[NEWEST - 1 : NEWEST]), UUID(int=0))
    return newest.filter(pk__gte=oldest, pk__endswith=end[1]).first()
