"""``saga prune``: sagas that are long over make room."""

import contextlib
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any
from uuid import UUID

from sagas import orchestrator
from sagas.management.commands._saga.archive import Archive, CannotKeep
from sagas.management.commands._saga.arguments import count, duration
from sagas.management.commands._saga.speaking import Desk, refused

#: Seconds between two batches, or what the last one took, if that is more: others have the database half the time.
PAUSE = 0.05


def add_subcommands(subcommands: Any) -> None:
    """Add ``prune``."""
    parser = subcommands.add_parser(
        "prune", help="remove sagas that finished long ago; prints the id of each, and keeps the audit trail"
    )
    parser.add_argument(
        "--older-than", metavar="AGE", type=duration, required=True, help="since they finished: 90d, 12h, 30m"
    )
    parser.add_argument(
        "--export",
        metavar="FILE",
        type=Path,
        help="write each to this file before: JSON lines, zstd, values and all",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print the ids")
    parser.add_argument("--batch", type=count, default=100, help="sagas per transaction, 1 to 1000 (100)")
    parser.set_defaults(run=prune)


def prune(desk: Desk, options: dict[str, Any]) -> None:
    """Remove what is old enough, or say what that is; ends well at Ctrl-C."""
    removed = 0
    try:
        with contextlib.closing(_batches(options)) as batches:
            for ids in batches:
                for saga_id in ids:
                    desk.give(saga_id)
                removed += len(ids)
                desk.say(f"{removed} so far.")
    except KeyboardInterrupt:
        raise refused(f"Stopped. {_counted(removed, options)}; the rest is as it was.") from None
    except CannotKeep as no:
        raise refused(str(no)) from no
    except BrokenPipeError:
        raise  # of our own output, and not the archive's
    except OSError as fault:
        said = f"{options['export']} cannot be written: {fault.strerror or fault}."
        raise refused(
            f"{said} {_counted(removed, options)}; what is not in the file is still there."
        ) from fault
    desk.say(f"{_counted(removed, options)}.")


def _counted(count: int, options: dict[str, Any]) -> str:
    verb = "would be removed" if options["dry_run"] else "removed"
    return f"{count} saga{'' if count == 1 else 's'} {verb}"


def _batches(options: dict[str, Any]) -> Generator[list[UUID]]:
    older_than, batch = options["older_than"], options["batch"]
    if options["dry_run"]:
        yield from orchestrator.old_sagas(older_than, batch)
        return
    asked = orchestrator.Asked(operator=None, via="command", reason=_reason(options))
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(Archive(options["export"])) if options["export"] else None
        began = time.monotonic()
        for ids in orchestrator.prune(older_than, batch, asked, archive.keep if archive else None):
            yield ids
            time.sleep(max(PAUSE, time.monotonic() - began))
            began = time.monotonic()


def _reason(options: dict[str, Any]) -> str:
    kept = f", kept in {options['export']}" if options["export"] else ""
    return f"finished longer ago than {options['older_than']}{kept}"
