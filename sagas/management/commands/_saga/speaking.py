"""Where output goes and how a subcommand ends: what programs read on stdout, what people read on stderr."""

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError


def refused(text: str) -> CommandError:
    """Return what ends a subcommand that was understood, and is not done: exit code 1."""
    return CommandError(text, returncode=1)


def bad_usage(text: str) -> CommandError:
    """Return what ends a subcommand that was not understood: exit code 2."""
    return CommandError(text, returncode=2)


def _as_text(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{value!r} is no JSON")


class Desk:
    """The command's two mouths."""

    def __init__(self, command: BaseCommand) -> None:
        self.command = command

    @property
    def seen(self) -> bool:
        """Whether a person is looking at stdout, and not a program."""
        return bool(self.command.stdout.isatty())

    def give(self, text: Any) -> None:
        """Print a line for programs."""
        self.command.stdout.write(str(text))

    def give_json(self, value: Any) -> None:
        """Print a JSON document for programs."""
        self.give(json.dumps(value, indent=2, ensure_ascii=False, default=_as_text))

    def say(self, text: str) -> None:
        """Print a line for people."""
        self.command.stderr.write(text, self.command.style.NOTICE)
