"""The inbox of approvals: what a person is asked, for the page and for the push; and how many, for the rail."""

from typing import Any

from sagas import orchestrator
from sagas.dashboard.overview import kept_for

#: Past that the rail does not count.
MOST = 99
#: Regions of the inbox and of the rail -> their partials.
LIST, COUNT = {"approvals": "sagas/_approvals.html"}, {"approvals-count": "sagas/_approvals_count.html"}


def inbox(user: Any, after: int | None = None) -> dict[str, Any]:
    """Return what the list needs: the open approvals that this user may answer, the most urgent first."""
    found = orchestrator.approvals_for(user, after=after)
    return {
        "approvals": found.items,
        "next": found.next,
        "unanswered": {} if user.is_superuser else unanswered(),
        "may_answer": user.has_perm(orchestrator.permission("approve")),
    }


#: Who has no say, and is no member of a group that is not there, would see nothing of what waits for nobody.
unanswered = kept_for(3)(orchestrator.unanswered)


def count(user: Any) -> dict[str, Any]:
    """Return what the rail needs."""
    number = orchestrator.approvals_count(user, MOST + 1)
    return {"count": number, "text": f"{MOST}+" if number > MOST else str(number)}
