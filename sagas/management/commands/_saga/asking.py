"""What every subcommand that acts is asked with, and what it says of an action that was known."""

from typing import Any, Protocol

from sagas import orchestrator
from sagas.management.commands._saga.arguments import user_named
from sagas.management.commands._saga.speaking import bad_usage


class _Answer(Protocol):
    @property
    def repeated(self) -> bool: ...


def add_asking(parser: Any, what: str, answer: str = "answer", plan: str = "print what would happen") -> None:
    """Add what a verb takes; ``what`` it is done to, and which ``answer`` an action id gives again."""
    add_reason(parser, plan)
    parser.add_argument("--action-id", help=f"the same one again does nothing, and gives the same {answer}")
    parser.add_argument("--json", action="store_true", help=f"print the {what} right after it")


def add_reason(parser: Any, plan: str) -> None:
    """Add who does it, why, and whether it is only a question; ``plan`` says what that prints."""
    parser.add_argument("--reason", help="why; required, except with --dry-run")
    parser.add_argument("--dry-run", action="store_true", help=plan)
    parser.add_argument(
        "--as", dest="operator", metavar="USER", help="act as this user, with its permissions"
    )


def asked(options: dict[str, Any], **more: Any) -> orchestrator.Asked:
    """Return what is asked for. Refuses to do anything without a reason."""
    if not options["dry_run"] and not (options["reason"] or "").strip():
        raise bad_usage("--reason is required: say why, for whoever reads the audit trail.")
    return orchestrator.Asked(
        operator=user_named(options["operator"]),
        via="command",
        reason=options["reason"] or "",
        action_id=options.get("action_id"),
        **more,
    )


def again(answer: _Answer) -> str:
    """Say, before what was done, that it was done before; else nothing."""
    return "This action id was known; then, " if answer.repeated else ""
