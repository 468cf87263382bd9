"""``manage.py saga …``: the desk on the command line, and the processes behind it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError

from sagas import orchestrator
from sagas.management.commands._saga import (
    acting,
    alerting,
    batching,
    drilling,
    keeping,
    moving,
    queueing,
    reading,
    remapping,
    running,
    starting,
    upkeep,
)
from sagas.management.commands._saga.speaking import Desk, refused


class Command(BaseCommand):
    """One parser and one function per subcommand; both are in the modules of ``_saga``."""

    help = (
        "Start, watch and repair sagas. Ids, tokens and JSON go to stdout, all else to stderr. "
        "Exit code: 0 done, 1 refused, 2 bad usage."
    )
    # The desk must work, and mend, while something is wrong; what starts work checks for itself.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Let each module add its subcommands."""
        subcommands = parser.add_subparsers(
            title="subcommands", dest="subcommand", metavar="COMMAND", required=True
        )
        for module in (
            starting,
            reading,
            acting,
            queueing,
            batching,
            alerting,
            remapping,
            drilling,
            keeping,
            moving,
            upkeep,
            running,
        ):
            module.add_subcommands(subcommands)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run a subcommand; tell what it was refused for in a sentence, never in a traceback."""
        try:
            options["run"](Desk(self), options)
        except orchestrator.Conflict as no:
            raise refused(f"{no} It is {no.saga['state']} now, at version {no.saga['version']}.") from no
        except (orchestrator.OrchestratorError, orchestrator.Refused) as no:
            raise refused(str(no)) from no
        except (OperationalError, ProgrammingError, InterfaceError) as fault:
            raise refused(f"The database cannot be used (is it migrated?): {fault}") from fault
        except (DatabaseError, UnicodeError) as fault:
            raise refused(f"The database cannot keep this: {fault}") from fault
        except BrokenPipeError as gone:
            raise CommandError("Nobody reads the output any more.") from gone
