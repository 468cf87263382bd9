"""pytest's plugin: ``@pytest.mark.drill(OrderFulfillment)`` drills a saga, with a test for each of its commands.

It needs pytest-django, which makes the test database. Where Sagadesk is not installed but lies beside the
tests, say ``pytest_plugins = ["sagas.testing.plugin"]`` in the top ``conftest.py``.
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sagas.testing.report import Drilled, Report


def pytest_configure(config: pytest.Config) -> None:
    """Explain the mark."""
    config.addinivalue_line(
        "markers",
        "drill(saga, data=None, invariants=(), *, only=None): run the saga once per failure point"
        " (sagas.testing.drill), with a test for each of its commands",
    )
    # pytest takes a mark's one argument for what is to be marked if it is a class: here it never is.
    pytest.mark.drill = _marked  # type: ignore[attr-defined]


def _marked(saga: Any, *more: Any, **options: Any) -> pytest.MarkDecorator:
    mark: pytest.MarkDecorator = pytest.MarkGenerator.__getattr__(pytest.mark, "drill")
    return mark.with_args(saga, *more, **options)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have pytest-django give the database to whoever drills."""
    if item.get_closest_marker("drill") and item.config.pluginmanager.hasplugin("django"):
        item.add_marker("django_db")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each action and each undo of the saga."""
    mark = metafunc.definition.get_closest_marker("drill")
    if mark is None:
        return
    if "drilled" not in metafunc.fixturenames:
        metafunc.fixturenames.append("drilled")
    metafunc.parametrize("drilled", _places(mark), indirect=True)


def _places(mark: pytest.Mark) -> list[str]:
    """Return the steps, and ``undo`` of those that have one; nothing to choose from where it cannot be drilled."""
    from sagas.core.definition import CANNOT_UNDO
    from sagas.testing.drilling import subject
    from sagas.testing.refusals import CannotDrill

    data = mark.args[1] if len(mark.args) > 1 else mark.kwargs.get("data")
    only = mark.kwargs.get("only")
    try:
        definition = subject(mark.args[0], data)[2]
    except CannotDrill:
        return ["drill"]  # the test tells why
    if definition.growing or any(step.child for step in definition.steps):
        return ["drill"]  # its steps, or those of its children, are known when it has run
    if definition.flow is not None:
        return [part.step for part in definition.flow.parts if only in (None, part.step)] or ["drill"]
    steps = [step for step in definition.steps if only in (None, step.name)]
    undos = [f"undo {step.name}" for step in steps if step.compensation not in (None, CANNOT_UNDO)]
    return [*(step.name for step in steps), *undos] or ["drill"]


_OFF = pytest.StashKey[str]()
_REPORTS = pytest.StashKey[dict[str, "Report | str"]]()


@pytest.fixture
def drilled(request: pytest.FixtureRequest) -> "list[Drilled]":
    """What became of the failure points of one command of the drilled saga; the test fails if one does not hold."""
    from sagas.testing.report import traces

    reports = request.config.stash.setdefault(_REPORTS, {})
    where = request.node.nodeid.partition("[")[0]
    if where not in reports:
        reports[where] = _drill(request.node.get_closest_marker("drill"))
    report = reports[where]
    if isinstance(report, str):
        request.node.stash[_OFF] = report
        return []
    found = [each for each in report.drilled if request.param in (_place(each), "drill")]
    request.node.stash[_OFF] = "\n\n".join(traces(found))
    return found


@pytest.fixture(autouse=True)
def _drilled_if_marked(request: pytest.FixtureRequest) -> None:
    """Drill also for a test that only has the mark, and takes no fixture."""
    if request.node.get_closest_marker("drill"):
        if request.config.pluginmanager.hasplugin("django"):
            request.getfixturevalue("db")  # it may be loaded behind us, and would give it too late
        request.getfixturevalue("drilled")


def _drill(mark: pytest.Mark) -> "Report | str":
    """Return the report, or why there is none."""
    from sagas.testing.databases import NotATestDatabase
    from sagas.testing.drilling import drill
    from sagas.testing.refusals import CannotDrill

    try:
        return drill(*mark.args, **mark.kwargs, check=False)
    except (CannotDrill, NotATestDatabase) as no:
        return str(no)


def _place(drilled: "Drilled") -> str:
    return f"undo {drilled.point.step}" if drilled.point.direction == "undo" else drilled.point.step


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Tell what does not hold, before the test's own body says something."""
    off = pyfuncitem.stash.get(_OFF, "")
    if off:
        pytest.fail(off, pytrace=False)
