"""A static look at the product: every place that writes to the database, calls Redis or calls a handler.

It knows calls by how they are written: a new way of writing to the database has to be taught to it, and a new call in
one of the old ways is found, and wants a path that passes it.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import sagas

ROOT = Path(sagas.__file__).parent
#: Calls that write to the database, whatever they are given; ``execute`` may only read, and is to be passed, too.
_WRITING = {
    "create", "bulk_create", "get_or_create", "update_or_create", "bulk_update", "save", "execute", "executemany",
    "acreate", "abulk_create", "asave", "adelete", "aupdate",
}  # fmt: skip
#: Makers of what talks to Redis.
_REDIS = {
    "connection", "_connection", "_script", "queue", "pipeline", "pubsub", "from_url", "get_connection", "NudgeWorker",
}  # fmt: skip
#: How handlers are called, and where.
_HANDLERS = {"function", "handler", "make"}
_CALLERS = ("sagas.engine", "sagas.orchestrator", "sagas.inbox")


class Place(NamedTuple):
    """One call in the product's code."""

    function: str
    call: str
    module: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.function}: {self.call}"

    def passed(self, lines: set[tuple[str, int]]) -> bool:
        """Whether one of these lines is within it."""
        return any((self.module, line) in lines for line in range(self.first, self.last + 1))


@cache
def places() -> list[Place]:
    """Return all of them."""
    files = [path for path in sorted(ROOT.rglob("*.py")) if "migrations" not in path.parts]
    return [place for path in files for place in _in_module(path)]


def _in_module(path: Path) -> Iterator[Place]:
    parts = ("sagas", *path.relative_to(ROOT).with_suffix("").parts)
    module = ".".join(parts).removesuffix(".__init__")
    yield from _in_block(ast.parse(path.read_text()), module, (), set())


def _in_block(node: ast.AST, module: str, names: tuple[str, ...], redis: set[str]) -> Iterator[Place]:
    """Look through a block; ``redis`` are the names that stand for what talks to Redis there."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _in_block(child, module, (*names, child.name), redis | _redis_names(child))
            continue
        if _is_place(child, module, redis):
            function = ".".join((module.removeprefix("sagas."), *names))
            yield Place(
                function, ast.unparse(child)[:80], module, child.lineno, child.end_lineno or child.lineno
            )  # type: ignore[attr-defined]
        yield from _in_block(child, module, names, redis)


def _redis_names(function: ast.AST) -> set[str]:
    """Return the names that a function gives to what talks to Redis."""
    found: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found |= {name} if _talks(value, found) else set()
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
                found |= {name} if _talks(value, found) else set()
    return found


def _is_place(node: ast.AST, module: str, redis: set[str]) -> bool:
    if isinstance(node, ast.Attribute) and node.attr == "count":  # RQ's queue asks Redis for its length
        return isinstance(node.value, ast.Call) and _talks(node.value, redis)
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    if isinstance(called, ast.Attribute):
        return _writes(node, called.attr) or (called.attr not in _REDIS and _talks(called.value, redis))
    if isinstance(called, ast.Name):
        return called.id in _HANDLERS and module.startswith(_CALLERS)
    return isinstance(called, ast.Call) and (
        _talks(called, redis) or ast.unparse(called.func) == "async_to_sync"
    )


def _writes(node: ast.Call, name: str) -> bool:
    """Whether a method's call writes: ``update`` of a queryset takes names only, its ``delete`` takes nothing."""
    match name:
        case "update":
            return bool(node.keywords) and not node.args
        case "delete" | "write":
            return not node.args and not node.keywords
    return name in _WRITING


def _talks(node: ast.AST, redis: set[str]) -> bool:
    """Whether an expression is, or comes from, something that talks to Redis."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _REDIS:
                return True
            node = node.func
        elif isinstance(node, ast.Attribute | ast.Await | ast.Subscript):
            node = node.value
        else:
            return False
    return node.id in redis or node.id == "redis"  # so are the clients called that are given to a function
