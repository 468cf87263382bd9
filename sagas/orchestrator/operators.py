"""Which operators may do what: a permission for each verb, and a reason, for the audit trail."""

from sagas.orchestrator.asked import LONGEST_REASON, Asked, Forbidden, Invalid
from sagas.orchestrator.start import plain

#: Verbs that share a permission with another.
_SHARED = {"resume": "pause", "reject": "approve", "remap": "edit"}


def permission(verb: str) -> str:
    """Return the permission that a verb needs."""
    return f"sagas.{_SHARED.get(verb, verb)}_saga"


#: The permission to see sagas, and all that is about them.
SEE = permission("view")


def check_operator(asked: Asked, needed: str, doing: str) -> None:
    """Raise Forbidden unless whoever asks is at a shell, or logged in with that permission; ``doing`` says for what."""
    if asked.operator is None and asked.via != "command":
        raise Forbidden("Nobody is logged in.")
    if asked.operator is not None and not asked.operator.has_perm(needed):
        raise Forbidden(f"You may not {doing}; it needs the permission {needed}.")


def check_reason(asked: Asked) -> None:
    """Raise Invalid unless a reason is given."""
    if not isinstance(asked.reason, str) or not asked.reason.strip():
        raise Invalid("reason", "is required: say why, for whoever reads the audit trail")


def check_words(asked: Asked) -> None:
    """Raise Invalid unless what was typed, and the action id, can be kept."""
    for field in ("reason", "evidence", "action_id", "step"):
        plain(getattr(asked, field), field)
    for field in ("reason", "evidence"):
        if len(getattr(asked, field) or "") > LONGEST_REASON:
            raise Invalid(field, f"must be at most {LONGEST_REASON} characters")
    if asked.action_id is not None and not 0 < len(asked.action_id) <= 100:
        raise Invalid("action_id", "must be a text of 1 to 100 characters")
