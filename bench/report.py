"""What a command has measured, as a text for the terminal and as a page for ``docs/``."""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import sentence
from bench.peers import ROOT

PAGES = ROOT / "docs" / "performance"


@dataclass(frozen=True)
class Table:
    """Cells that are texts already."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Align the columns, the first to the left, the others to the right."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = [self.head, ["-" * width for width in widths], *self.rows]
        return "\n".join(
            "  " + "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in lines
        )

    def markdown(self) -> str:
        """Return the same for a page."""
        rule = ["---", *["---:"] * (len(self.head) - 1)]
        return "\n".join("| " + " | ".join(line) + " |" for line in (self.head, rule, *self.rows))


@dataclass
class Report:
    """A command's figures: tables and sentences in their order, and the numbers behind them."""

    command: str
    title: str
    about: dict[str, Any]
    parts: list[Table | str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table."""
        self.parts.append(Table(head, list(rows)))

    def say(self, text: str) -> None:
        """Add a paragraph."""
        self.parts.append(text)

    def text(self) -> str:
        """Return what the terminal shows."""
        shown = [each.text() if isinstance(each, Table) else f"  {each}" for each in self.parts]
        return "\n\n".join(["", *shown, ""])

    def markdown(self) -> str:
        """Return the page."""
        origin = f"Measured by `bench/{self.command}`: {sentence(self.about)}; {self.about['server']}."
        shown = [each.markdown() if isinstance(each, Table) else each for each in self.parts]
        return "\n\n".join([f"# {self.title}", origin, *shown]) + "\n"

    def hand_over(self, asked: argparse.Namespace, page: Path | None = None) -> None:
        """Print it, and write what was asked for: the numbers, the page."""
        print(self.text(), flush=True)
        if asked.json:
            document = {"command": self.command, "about": self.about, **self.numbers}
            Path(asked.json).write_text(json.dumps(document, indent=1) + "\n")
        if asked.write:
            page = page or PAGES / f"{self.command}.md"
            page.parent.mkdir(exist_ok=True)
            page.write_text(self.markdown())
            print(f"  written: {page.relative_to(ROOT)}", flush=True)


def arguments(command: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of what every command understands."""
    parser = argparse.ArgumentParser(prog=f"bench/{command}", description=description)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--write", action="store_true", help="write the page in docs/")
    return parser


def number(value: float | None, unit: str = "") -> str:
    """Write a figure with as many digits as it deserves; a dash if there is none."""
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}{unit}"


def spread(values: Sequence[float]) -> str:
    """Write a sorted series as its median, and its least and most."""
    if not values:
        return "–"
    middle = len(values) // 2
    median = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
    return f"{number(median)} ({number(values[0])}–{number(values[-1])})"
