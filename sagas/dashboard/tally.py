"""How many sagas a list's filters let through: up to a bound, and only where an index alone finds them."""

from sagas.dashboard.filters import Filters
from sagas.dashboard.paging import SIZE, Page
from sagas.matching import ANY

#: A count stops here and says "+".
MOST = 1_000
#: Filters that have an index of their own -> the value that it is for; None: any.
_INDEXED = {
    **dict.fromkeys(("state", "type", "correlation", "correlation_id", "id", "since", "until")),
    "attention": ANY,
    "waiting": ANY,
    "paused": "1",
}


def tally(filters: Filters, page: Page) -> str:
    """Say how many match, beside the page that shows some of them; of all sagas, and of none, nothing.

    Several filters together may have to look at every saga to find a thousand: then a page is all that is known.
    """
    if not filters.active or filters.problems or not page.rows:
        return ""
    if _is_counted(filters):
        count = filters.apply().order_by()[: MOST + 1].count()
        return f"{MOST:,}+ sagas match".replace(",", " ") if count > MOST else _told(count)
    return f"more than {SIZE} sagas match" if page.newer or page.older else _told(len(page.rows))


def _is_counted(filters: Filters) -> bool:
    active = filters.active
    if active.keys() == {"since", "until"}:
        return True
    if len(active) > 1:
        return False
    ((name, value),) = active.items()
    return bool(filters.data) or (name in _INDEXED and _INDEXED[name] in {None, value})


def _told(count: int) -> str:
    return f"{count:,} saga{'' if count == 1 else 's'} match{'es' if count == 1 else ''}".replace(",", " ")
