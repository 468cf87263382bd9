"""Reading what was sent: strict JSON, and nothing that a database could not keep."""

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from django.http import HttpRequest

from sagas.api.problems import MAX_BODY, Problem, invalid, malformed, too_large

#: Deeper data helps nobody, and SQLite refuses it from 1,000 on.
MAX_DEPTH = 100


def read_body(request: HttpRequest) -> dict[str, Any]:
    """Return the request's JSON object. Raises 400, 413, 415 or 422."""
    return parse_object(read_raw(request))


def read_raw(request: HttpRequest) -> bytes:
    """Return the body as it was sent. Raises 413 or 415."""
    _check_type(request)
    raw: bytes = request.read(MAX_BODY + 1)  # without a Content-Length only this limits it
    if len(raw) > MAX_BODY:
        raise too_large()
    return raw


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is. Raises 400 or 422."""
    body = _parse(raw)
    if not isinstance(body, dict):
        raise malformed("The body must be a JSON object.")
    check_storable(body)
    return body


def check_length(request: HttpRequest) -> None:
    """Refuse, unread, what says itself that it is too large."""
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        raise malformed("Content-Length must be a number.") from None
    if length > MAX_BODY:
        raise too_large()


def read_query(request: HttpRequest) -> dict[str, str]:
    """Return the query's parameters. Raises 422 for one that is given twice."""
    for name, values in request.GET.lists():
        if len(values) > 1:
            raise invalid(name, "is given more than once")
    query = {name: str(value) for name, value in request.GET.items()}
    check_storable(query)
    return query


def _check_type(request: HttpRequest) -> None:
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if request.content_type not in {"", "application/json"} or charset not in {"utf-8", "utf8"}:
        raise Problem(415, "unsupported_type", "Send Content-Type: application/json, in UTF-8.")


def _parse(raw: bytes) -> Any:
    if not raw.strip():
        raise malformed("The body is empty; send a JSON object.")
    try:
        return json.loads(raw.decode(), parse_constant=_not_json, parse_float=_finite)
    except RecursionError:
        raise malformed("The body is nested too deeply.") from None
    except ValueError as wrong:  # not UTF-8, not JSON, or a number of thousands of digits
        raise malformed(f"The body is not JSON: {wrong}") from None


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:40]} is out of range")
    return value


def check_storable(value: Any) -> None:
    """Refuse text that PostgreSQL cannot keep, and nesting that SQLite cannot."""
    for path, text in _texts(value):
        if "\x00" in text:
            raise invalid(path, "must not contain the NUL character")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise invalid(path, "must not contain half a surrogate pair")


def _texts(root: Any) -> Iterator[tuple[str, str]]:
    """Yield every key and text, with the path to it."""
    todo: list[tuple[str, int, Any]] = [("", 0, root)]
    while todo:
        path, depth, value = todo.pop()
        if depth > MAX_DEPTH:
            raise invalid(path.split(".")[0], f"must not be nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            yield from ((path or "body", key) for key in value)
            todo.extend((f"{path}.{key}" if path else key, depth + 1, each) for key, each in value.items())
        elif isinstance(value, list):
            todo.extend((f"{path}.{index}", depth + 1, each) for index, each in enumerate(value))
