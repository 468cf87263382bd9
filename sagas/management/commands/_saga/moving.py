"""``saga export`` and ``saga import``: one saga, from one installation to another."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from sagas import orchestrator
from sagas.management.commands._saga.arguments import not_json
from sagas.management.commands._saga.speaking import Desk, refused


def add_subcommands(subcommands: Any) -> None:
    """Add ``export`` and ``import``."""
    parser = subcommands.add_parser("export", help="print a saga as a document for another installation")
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write it there; prints the id")
    parser.add_argument("--reveal", action="store_true", help="with the values of data, results and errors")
    parser.set_defaults(run=export)
    parser = subcommands.add_parser(
        "import", help="take in such a document, as a record to look at; prints the id"
    )
    parser.add_argument("file", metavar="FILE", help="- is stdin")
    parser.add_argument("--dry-run", action="store_true", help="only check it")
    parser.set_defaults(run=import_)


def export(desk: Desk, options: dict[str, Any]) -> None:
    """Print a saga's document, or write it to a file: all of it, or nothing."""
    document = orchestrator.export(options["id"], reveal=options["reveal"])
    if options["output"] is None:
        desk.give_json(document)
        return
    try:
        _write(options["output"], json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as fault:
        raise refused(f"{options['output']} cannot be written: {fault.strerror or fault}.") from fault
    desk.give(document["saga"]["id"])


def _write(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced by a file
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()  # a link stays one: what it leads to is replaced
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).rename(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def import_(desk: Desk, options: dict[str, Any]) -> None:
    """Record a saga that ran elsewhere."""
    asked = orchestrator.Asked(operator=None, via="command", reason=f"imported from {options['file']}")
    imported = orchestrator.import_saga(_read(options["file"]), asked, dry_run=options["dry_run"])
    if imported.here:
        desk.say("The same saga is here already; nothing was done.")
    elif options["dry_run"]:
        desk.say("It can be imported; nothing was done.")
    else:
        end = "It was not finished there" if imported.unfinished else "It is finished"
        desk.say(f"Imported, as a record to look at. {end}; nothing of it runs here.")
    desk.give(imported.saga_id)


def _read(name: str) -> Any:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        return json.loads(text, parse_constant=not_json)
    except OSError as fault:
        raise refused(f"{name} cannot be read: {fault.strerror or fault}.") from fault
    except (ValueError, RecursionError) as wrong:
        raise refused(f"{name} is not JSON: {wrong}.") from wrong
