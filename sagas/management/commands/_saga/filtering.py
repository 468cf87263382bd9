"""The options that say which sagas are meant: of ``saga list``, and of ``saga batch start``."""

from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sagas import searchable
from sagas.core.ids import id_range
from sagas.core.words import Attention, SagaState, Waiting
from sagas.management.commands._saga.arguments import moment
from sagas.matching import ANY, NONE, Wanted


def add_filters(parser: Any) -> None:
    """Add the options."""
    parser.add_argument("--state", choices=[s.value for s in SagaState])
    parser.add_argument("--type")
    codes = [ANY, NONE, *(a.value for a in Attention)]
    parser.add_argument("--attention", nargs="?", const=ANY, choices=codes, help="any, if no code is named")
    parser.add_argument("--step", help="one that it has; with --attention, one that asks so")
    kinds = [ANY, *(w.value for w in Waiting)]
    parser.add_argument("--waiting", nargs="?", const=ANY, choices=kinds, help="any, if no kind is named")
    parser.add_argument("--paused", action="store_const", const=True, help="by an operator")
    parser.add_argument("--queue", help="on which something of it waits, due now or later")
    parser.add_argument("--id", dest="id_begins", metavar="BEGINNING", type=_beginning)
    parser.add_argument("--correlation-id", metavar="ID")
    parser.add_argument("--correlation", metavar="BEGINNING", help="how the correlation id begins")
    parser.add_argument("--since", metavar="MOMENT", type=moment, help="started then or later")
    parser.add_argument("--until", metavar="MOMENT", type=moment, help="started before")
    parser.add_argument(
        "--data",
        dest="sought",
        metavar="PATH=VALUE",
        type=_sought,
        action="append",
        help="what the data has at a path that the setting SEARCHABLE names",
    )


def wanted(options: Mapping[str, Any]) -> Wanted:
    """Return which sagas are meant. An empty value is one, too: what a shell leaves of a variable is not "all"."""
    plain = {each.name: options.get(each.name) for each in fields(Wanted) if each.name not in {"id", "data"}}
    return Wanted(**plain, id=options["id_begins"], data=dict(options["sought"] or ()))


def _beginning(text: str) -> str:
    if id_range(text) is None:
        raise ArgumentTypeError(f"no id begins with {text!r}; write four hexadecimal digits or more")
    return text


def _sought(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals:
        raise ArgumentTypeError(f"{text!r} names no value; write PATH=VALUE")
    try:
        searchable.check(path)
    except searchable.NotSearchable as no:
        raise ArgumentTypeError(f"{path} {no}") from no
    return path, value
