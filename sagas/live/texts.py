"""What pages are sent, as JSON text: written once, however many pages it goes to."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson

_TICKING = re.compile(r"(<time[^>]*>|data-since=[^>]*>)[^<]*")


class Region(NamedTuple):
    """A part of a page: a member of a JSON object, and a mark that differs when what it says does."""

    text: str
    mark: int


@dataclass(frozen=True)
class Told:
    """A saga as it is now: an open JSON object, and the regions that may be added to it."""

    version: int
    final: bool
    text: str
    regions: Mapping[str, Region] | None
    """None for a row, which has no parts."""

    def with_regions(self, fresh: Iterable[str]) -> str:
        """Return the whole object, with these of its regions."""
        return f'{self.text},"regions":{{{",".join(fresh)}}}}}'


def json_of(value: Any) -> str:
    """Write a value as JSON."""
    return orjson.dumps(value).decode()


def members(values: Mapping[str, Any]) -> str:
    """Write values as the inside of a JSON object."""
    return json_of(values)[1:-1]


def marked(regions: Mapping[str, str]) -> dict[str, Region]:
    """Write regions, and mark them by what they say, times aside: the browser itself keeps "3 s ago" true."""
    return {
        name: Region(members({name: html}), hash(_TICKING.sub(r"\1", html))) for name, html in regions.items()
    }


def told(saga_id: UUID, rendered: Mapping[str, Any]) -> Told:
    """Write what was rendered of a saga."""
    plain = {name: value for name, value in rendered.items() if name != "regions"}
    text = "{" + members({"id": str(saga_id), **plain})
    regions = marked(rendered["regions"]) if "regions" in rendered else None
    return Told(rendered["version"], rendered.get("final", False), text, regions)
