"""Which operators may do what: a permission for each verb, and a reason, for the audit trail."""

from sagas.orchestrator.asked import Asked, Forbidden, Invalid

#: Verbs that share a permission with another.
_SHARED = {"resume": "pause", "reject": "approve", "remap": "edit"}


def permission(verb: str) -> str:
    """Return the permission that a verb needs."""
    return f"sagas.{_SHARED.get(verb, verb)}_saga"


def check_operator(asked: Asked, verb: str, doing: str) -> None:
    """Raise Forbidden unless whoever asks is logged in, or at a shell, and may do so; ``doing`` says what."""
    if asked.operator is None and asked.via != "command":
        raise Forbidden("Nobody is logged in.")
    needed = permission(verb)
    if asked.operator is not None and not asked.operator.has_perm(needed):
        raise Forbidden(f"You may not {doing}; it needs the permission {needed}.")


def check_reason(asked: Asked) -> None:
    """Raise Invalid unless a reason is given."""
    if not isinstance(asked.reason, str) or not asked.reason.strip():
        raise Invalid("reason", "is required: say why, for whoever reads the audit trail")
