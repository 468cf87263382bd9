"""How a bug gets into code that knows nothing of it: a line of a function is changed, and it is compiled anew.

A function keeps its identity, so whoever imported it by name has the bug, too. Whatever does not fit
any more raises :class:`Unfit`: a bug that does nothing would make the tests look better than they are.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cached_property
from pkgutil import resolve_name
from types import CodeType, FunctionType
from typing import Any


class Unfit(LookupError):
    """The code is no longer what a bug was made for. Its text says where."""


def rewrite(where: str, *changes: str) -> None:
    """Change a function's source: each pair of texts is what stands there, exactly once, and what shall.

    ``where`` is ``package.module:name``, or ``package.module:Class.name``; properties and decorated
    functions are looked through.
    """
    function = _function(_resolve(where))
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        source = _changed(source, old, new, where)
    function.__code__ = _compiled(source, function, where)


def reword(where: str, old: str, new: str) -> None:
    """Change a text, such as an SQL statement, that a module keeps under a name."""
    replace(where, _changed(_resolve(where), old, new, where))


def replace(where: str, new: Any) -> None:
    """Put something else under a name of a module; who imported it by name from there keeps the old one."""
    module, _, name = where.partition(":")
    _resolve(where)
    setattr(resolve_name(module), name, new)


def _resolve(where: str) -> Any:
    try:
        return resolve_name(where)
    except (ImportError, AttributeError) as gone:
        raise Unfit(f"{where} is gone: {gone}") from gone


def _changed(text: str, old: str, new: str, where: str) -> str:
    if text.count(old) != 1:
        raise Unfit(f"{where} has {text.count(old)} times what should stand there once:\n{old}")
    return text.replace(old, new)


def _function(found: Any) -> FunctionType:
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, cached_property):
        found = found.func
    function = inspect.unwrap(found)
    if not isinstance(function, FunctionType):
        raise Unfit(f"{found!r} is no function")
    return function


def _compiled(source: str, function: FunctionType, where: str) -> CodeType:
    """Compile a function as it stood in its module; what it takes from around it (``super()``) stays what it was."""
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    definition.decorator_list = []
    around = function.__code__.co_freevars
    outside = ast.parse(f"def _outside({', '.join(around)}): return {definition.name}").body[0]
    assert isinstance(outside, ast.FunctionDef)
    outside.body.insert(0, definition)
    scope = dict(function.__globals__)
    exec(compile(ast.Module([outside], []), f"<bug in {where}>", "exec"), scope)  # noqa: S102 - our own text
    made: Callable[..., Any] = scope["_outside"](*around)
    return made.__code__
