"""Checks the demos' books: exit code 1 and the offending rows if they are off."""

import json as codec
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from participants.audit import Finding, Report, audit


class Command(BaseCommand):
    """The report goes to stdout, whatever it says."""

    help = "Check the demos' books against themselves and against the sagas."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *, json: bool, **_: Any) -> None:
        report = audit()
        lines = [codec.dumps(report.document(), indent=2)] if json else _lines(report)
        self.stdout.write("\n".join(lines))
        if report.offences:
            self.stdout.flush()
            sys.exit(1)


def _lines(report: Report) -> list[str]:
    checked = ", ".join(f"{count} {what}" for what, count in report.checked.items())
    verdict = (
        f"The books are off: {len(report.offences)} offending rows."
        if report.offences
        else "The books are clean."
    )
    return [
        *(_line("OFF", finding) for finding in report.offences),
        *(_line("settled", finding) for finding in report.settled),
        verdict,
        f"Checked: {checked}. In flight: {report.in_flight}. Settled by hand: {len(report.settled)}.",
    ]


def _line(mark: str, finding: Finding) -> str:
    saga = f" (saga {finding.saga})" if finding.saga else ""
    return f"{mark}  {finding.check}: {finding.row}{saga}: {finding.text}"
