"""What a durable function calls and should not: the clock, dice, and whatever holds up its worker.

Only what can be read off its text is found: calls by name, in it and in the functions of its module that it calls.
"""

import ast
import asyncio
import datetime
import inspect
import os
import random
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from django.utils import timezone

_CLOCK = "is another in each run; saga.now is the same in all of them"
_DRAW = "is another in each run; draw in a step, or use saga.id"
_SLEEP = "holds up its worker, again in each run; saga.wait(…) waits, and holds nobody"
_LOOP = "needs an event loop, and a function has none; saga.wait(…) waits, saga.parallel(…) does things side by side"
#: Function -> what is wrong with calling it.
_TOLD: dict[Any, str] = {
    **dict.fromkeys((datetime.datetime.now, datetime.datetime.utcnow, datetime.datetime.today), _CLOCK),
    **dict.fromkeys((datetime.date.today, time.time, time.time_ns, time.monotonic), _CLOCK),
    **dict.fromkeys((timezone.now, timezone.localtime, timezone.localdate), _CLOCK),
    **dict.fromkeys((uuid.uuid1, uuid.uuid4, os.urandom), _DRAW),
    **dict.fromkeys((random.random, random.randint, random.randrange, random.uniform), _DRAW),
    **dict.fromkeys((random.choice, random.choices, random.sample, random.shuffle), _DRAW),
    **dict.fromkeys((asyncio.sleep, asyncio.gather, asyncio.wait_for, asyncio.create_task), _LOOP),
    time.sleep: _SLEEP,
}
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType)


def unrepeatable(function: Callable[..., Any]) -> Iterator[str]:
    """Yield a sentence for each call that does not belong into a durable function, with its line."""
    ahead, seen = [inspect.unwrap(function)], set[Any]()
    while ahead:
        one = ahead.pop()
        if one in seen or not isinstance(one, FunctionType):
            continue
        seen.add(one)
        for called, name, line in _calls(one):
            if called in _TOLD:
                where = f"line {line} of {one.__name__}, {Path(one.__code__.co_filename).name}"
                yield f"{where}, calls {name}(), which {_TOLD[called]}"
            elif getattr(called, "__module__", None) == one.__module__:
                ahead.append(called)


def _calls(function: FunctionType) -> Iterator[tuple[Any, str, int]]:
    """Yield the functions that one calls by name, how it calls them, and in which line."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):  # its text is not there, or is a part of a line, as a lambda's
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = _meant(function, node.func)
            if isinstance(called, _FUNCTIONS):
                yield called, ast.unparse(node.func), first + node.lineno - 1


def _meant(function: FunctionType, node: ast.expr) -> Any:
    """Return what a dotted name means in a function, as far as that is known without running it."""
    if isinstance(node, ast.Name):
        local = node.id in function.__code__.co_varnames
        return None if local else function.__globals__.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _meant(function, node.value)
        return getattr(owner, node.attr, None) if isinstance(owner, ModuleType | type) else None
    return None
