"""``saga token`` and ``saga check``."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.core import checks
from django.db import router
from django.db.models import Count

from sagas import registry, soundness
from sagas.core.definition import CANNOT_UNDO
from sagas.management.commands._saga.speaking import Desk, refused
from sagas.models import Definition, Saga, Token


def add_subcommands(subcommands: Any) -> None:
    """Add ``token`` and ``check``."""
    parser = subcommands.add_parser("token", help="make a bearer token for the API; prints it, this once")
    parser.add_argument("user", metavar="USER")
    parser.set_defaults(run=token)
    parser = subcommands.add_parser("check", help="find definitions, and running sagas, that cannot go on")
    parser.set_defaults(run=check)


def token(desk: Desk, options: dict[str, Any]) -> None:
    """Make a token for a user, and print it."""
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: options["user"]}).first()
    if user is None or not user.is_active:
        raise refused(f"There is no active user {options['user']!r}.")
    desk.say(f"It speaks for {options['user']} until it is deleted in the admin. It is not shown again.")
    desk.give(Token.issue(user))


def check(desk: Desk, options: dict[str, Any]) -> None:
    """Say what is wrong with the definitions, the servers, and sagas under way; refused if anything is."""
    problems = [*system_problems(checks.WARNING), *_server_problems(), *_stranded()]
    for problem in problems:
        desk.say(problem)
    if problems:
        raise refused(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}.")
    desk.say("All is well.")


def system_problems(level: int) -> Iterator[str]:
    """Yield what the system checks for sagas find, from a level on."""
    for message in checks.run_checks(tags=["sagas"]):
        if message.level >= level and not message.is_silenced():
            yield str(message)


def _server_problems() -> Iterator[str]:
    """Yield what the database and Redis have to say of themselves."""
    asked = checks.run_checks(tags=[checks.Tags.database], databases=[router.db_for_write(Saga)])
    for message in [*asked, *soundness.check_redis()]:
        if message.level >= checks.WARNING and not message.is_silenced():
            yield str(message)


def _stranded() -> Iterator[str]:
    """Yield what running sagas were promised, and the present code does not have."""
    counts = dict(Saga.objects.active().values_list("definition").annotate(Count("pk")).order_by())
    for definition in Definition.objects.filter(pk__in=counts).order_by("saga_type", "digest"):
        missing = list(_missing(definition))
        if missing:
            example = Saga.objects.active().filter(definition=definition).latest("updated_at")
            count = counts[definition.pk]
            sagas = (
                f"{count} running sagas, {example.pk} among them,"
                if count > 1
                else f"Running saga {example.pk}"
            )
            yield f"{sagas} of type {definition.saga_type} cannot go on: {'; '.join(missing)}."


def _missing(definition: Definition) -> Iterator[str]:
    if registry.saga_type(definition.saga_type) is None:
        yield f"the saga type {definition.saga_type} is no longer defined"
    for step in definition.document["steps"]:
        for role, name in _commands(step):
            if registry.handler(name) is None:
                yield f"nobody handles {name}, the {role} of step {step['name']}"


def _commands(step: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for role in ("action", "compensation"):
        if step.get(role) not in {None, CANNOT_UNDO}:
            yield role, step[role]
