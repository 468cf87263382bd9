"""The docs say what the code does: diagrams are current, examples run, names and links exist."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models.functions import Now

from docs import lifecycle
from sagas import orchestrator, registry
from sagas.conf import Settings
from sagas.core.words import Attention
from sagas.dashboard.metrics import GAUGES
from sagas.engine import Pump
from sagas.models import Due, Saga
from sagas.testing import drill

ROOT: Path = settings.BASE_DIR
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_the_lifecycle_is_drawn_from_the_tables() -> None:
    page = lifecycle.PAGE.read_text()
    assert lifecycle.drawn(page) == page, "run: python docs/lifecycle.py --write"


def test_every_code_of_attention_is_explained() -> None:
    page = lifecycle.PAGE.read_text()
    assert [code for code in Attention if f"`{code}`" not in page] == []


def test_every_verb_is_explained() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    assert [verb for verb in orchestrator.VERBS if verb not in page] == []


def test_the_first_page_says_what_was_measured() -> None:
    told = re.findall(r"([\d.]+) times as many[a-z ]* as (\w+)", (ROOT / "README.md").read_text())
    page = (ROOT / "docs" / "performance.md").read_text()
    assert {name for _, name in told} == {"Restate", "DBOS", "RQ"}
    for number, name in told:
        measured = re.findall(rf"^\| {name.lower()} \|.*\| ([\d.]+) \| ≥", page, re.MULTILINE)
        decimals = len(number.partition(".")[2])
        assert [round(float(ratio), decimals) for ratio in measured] == [float(number)], name


def test_every_setting_is_named() -> None:
    pages = "".join((ROOT / "docs" / f"{page}.md").read_text() for page in ("deploying", "adopting"))
    fields = Settings.__dataclass_fields__
    unnamed = [name for name in fields if f"SAGADESK_{name}`" not in pages and f'"{name}": ' not in pages]
    assert unnamed == [], "neither a variable of the environment, nor one of SAGAS in the examples"


def test_every_figure_is_in_the_table() -> None:
    page = (ROOT / "docs" / "deploying.md").read_text()
    told = re.findall(r"^\| `(sagadesk_\w+)` \| (?:`(\w+)`)? ?\|", page, re.MULTILINE)
    assert sorted(told) == sorted((gauge.name, gauge.label) for gauge in GAUGES)


def test_every_module_has_its_floor() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page[page.index("| roof |") : page.index("`participants/` are the demos")]
    there = [
        *(ROOT / "sagas").glob("*.py"),
        *(each.parent for each in (ROOT / "sagas").glob("*/__init__.py")),
    ]
    names = {each.stem for each in there} - {"__init__", "migrations", "templatetags"}
    assert sorted(names - set(re.findall(r"`(\w+)/?`", table))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "docs" / "writing-a-saga.md"], ids=lambda p: p.name
)
def test_the_example_saga_runs_as_it_is_printed(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_commands", "_saga_types", "_saga_classes"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    module = ModuleType(f"example_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(PYTHON.findall(page.read_text())[0], module.__dict__)  # noqa: S102 - our own page
    happy = orchestrator.start("GiftOrder", {"to": "Ada"}).saga
    rejected = orchestrator.start("GiftOrder", {"to": "nobody"}).saga
    Pump(("gift", "courier", "events"), "docs").run(20)
    assert Saga.objects.get(pk=happy.pk).state == "completed"
    ended = Saga.objects.get(pk=rejected.pk)
    assert (ended.state, ended.error) == ("failed", "there is nobody to deliver to")
    assert ended.steps.get(name="wrap").status == "compensated"


@pytest.mark.django_db(transaction=True)
def test_the_example_that_waits_runs_as_it_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_commands", "_saga_types", "_saga_classes"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    module = ModuleType("example_that_waits")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    page = (ROOT / "docs" / "writing-a-saga.md").read_text()
    (example,) = [code for code in PYTHON.findall(page) if code.startswith("# loans/sagas.py")]
    exec(example, module.__dict__)  # noqa: S102 - our own page
    data = {"amount": 20_000, "customer": {"name": "Ada"}, "payout_at": "2020-01-01T00:00:00+00:00"}
    saga = orchestrator.start("Loan", data).saga
    pump = Pump(("bureau", "bank", "waits"), "docs")
    pump.run(20)
    module.bureau_has_answered(saga.pk, "A")
    for name in ("mia", "bo"):
        user = get_user_model().objects.create_superuser(name)
        (asked,) = orchestrator.approvals_for(user).items
        assert asked.show == "20000 to Ada, rated A"
        orchestrator.act(
            saga.pk, "approve", orchestrator.Asked(operator=user, via="desk", reason="fine", step="agree")
        )
    Due.objects.filter(step="cool_off").update(due_at=Now())
    pump.run(20)
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert not Due.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_example_with_a_child_runs_as_it_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_commands", "_saga_types", "_saga_classes"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    module = ModuleType("example_with_a_child")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    page = (ROOT / "docs" / "writing-a-saga.md").read_text()
    (example,) = [code for code in PYTHON.findall(page) if code.startswith("# houses/sagas.py")]
    exec(example, module.__dict__)  # noqa: S102 - our own page
    low, high = (orchestrator.start("House", {"building": {"floors": n}}).saga for n in (2, 9))
    Pump(("land", "mason", "moving", "events"), "docs").run(20)
    assert Saga.objects.get(pk=low.pk).state == "completed"
    ended = Saga.objects.get(pk=high.pk)
    assert (ended.state, ended.error) == ("failed", "too many stairs")
    building = Saga.objects.get(origin=high, saga_type="Building")
    undo = Saga.objects.get(origin=building)
    assert (building.state, undo.origin_kind, undo.state) == ("completed", "undo", "completed")
    assert [step.action for step in undo.steps.all()] == ["MasonService.Uncover", "MasonService.TearDown"]


@pytest.mark.django_db(transaction=True)
def test_the_example_choreography_runs_as_it_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_commands", "_subscribers", "_saga_types", "_saga_classes"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    module = ModuleType("example_choreography")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    page = (ROOT / "docs" / "choreography.md").read_text()
    exec(PYTHON.findall(page)[0], module.__dict__)  # noqa: S102 - our own page
    (happy,) = orchestrator.publish("GiftOrdered", {"to": "Ada"})
    refused = orchestrator.start("GiftRound", {"to": "nobody"}).saga
    Pump(("default", "events"), "docs").run(20)
    assert Saga.objects.get(pk=happy).state == "completed"
    ended = Saga.objects.get(pk=refused.pk)
    assert (ended.state, ended.error) == ("failed", "GiftRefused: there is nobody to deliver to")
    assert {each.point.step for each in drill("GiftRound").drilled} == {
        "wrap",
        "deliver",
        "unwrap",
        "call_off",
    }
    assert orchestrator.delivering.get() is None, "what is published from now on belongs to none of them"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], ModuleType]:
    """Run the examples of a page, and forget them afterwards."""
    for name in ("_commands", "_subscribers", "_saga_types", "_saga_classes"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))

    def run(page: str, code: str) -> ModuleType:
        module = ModuleType(f"example_{page.replace('-', '_')}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(code, module.__dict__)  # noqa: S102 - our own page
        return module

    return run


def _at_rest(*queues: str) -> None:
    """Run all that is due, and let time pass for what waits."""
    pump = Pump((*queues, "default", "events", "waits"), "docs")
    pump.run(20)
    while Due.objects.exists():
        Due.objects.update(due_at=Now())
        pump.run(20)


@pytest.mark.django_db(transaction=True)
def test_the_example_function_runs_as_it_is_printed(printed: Callable[[str, str], ModuleType]) -> None:
    page = (ROOT / "docs" / "durable-functions.md").read_text()
    module = printed("durable-functions", "\n".join(PYTHON.findall(page)))
    series = module.gift_series
    queues = ("gift", "card", "courier")
    data = {"to": "Ada", "neighbour": "Charles", "months": 3}
    happy, moved = series.start(data), series.start({**data, "to": "nobody"})
    nobody = series.start({**data, "to": "nobody", "neighbour": "nobody"})
    family = module.gifts_for_all.start({"family": ["Ada", "nobody", "Alan"], "neighbour": "nobody"})
    _at_rest(*queues)
    parcels = {saga.pk: saga.steps.get(name="function").result for saga in (happy, moved)}
    told = [f"Gift number {month}" for month in (1, 2, 3)]
    assert parcels[happy.pk] == {"parcels": [f"Ada: {text}" for text in told]}
    assert parcels[moved.pk] == {"parcels": [f"Charles: {text}" for text in told]}
    ended = Saga.objects.get(pk=nobody.pk)
    assert (ended.state, ended.error) == ("failed", "there is nobody to deliver to")
    assert ended.steps.get(name="wrap").status == "compensated"
    assert family.steps.get(name="function").result == {"missed": ["nobody"]}
    assert Saga.objects.filter(origin=family).count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_changed_function_says_what_the_page_says(printed: Callable[[str, str], ModuleType]) -> None:
    page = (ROOT / "docs" / "durable-functions.md").read_text()
    example = PYTHON.findall(page)[0]
    series = printed("durable-functions", example).gift_series
    saga = series.start({"to": "Ada", "neighbour": "Charles", "months": 2})
    Pump(("gift", "card", "courier", "default"), "docs").run(20)
    card = '            lambda: saga.step("write", "CardService.Write", input={"month": month}),\n'
    both, alone = "paper, card = saga", "card, (paper,) = {'text': ''}, saga"
    assert card in example
    assert both in example
    without = example.replace(card, "").replace(both, alone)
    printed("durable-functions", without)
    _at_rest()
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("pending", "misconfigured")
    assert saga.steps.get(name="function").error in page


@pytest.mark.django_db(transaction=True)
def test_the_same_order_in_four_styles_has_the_same_ends(printed: Callable[[str, str], ModuleType]) -> None:
    page = (ROOT / "docs" / "styles.md").read_text()
    printed("styles", "\n".join(PYTHON.findall(page)))
    styles = ("RowOrder", "GraphOrder", "FunctionOrder", "EventOrder")
    order = {"pieces": 2, "card": "ada", "to": "London"}
    for change, end, error in (
        ({}, "completed", ""),
        ({"card": "stolen"}, "failed", "card declined"),
        ({"to": "Atlantis"}, "failed", "address not served"),
    ):
        sagas = [orchestrator.start(style, {**order, **change}).saga for style in styles]
        _at_rest("stock", "bank", "carrier")
        for saga in sagas:
            saga.refresh_from_db()
            assert (saga.state, saga.attention) == (end, None), saga.saga_type
            assert error in (saga.error or ""), saga.saga_type
            standing = set(saga.steps.filter(status="completed").values_list("name", flat=True))
            assert end == "completed" or saga.saga_type == "EventOrder" or not standing, saga.saga_type
    onward = orchestrator.start("FunctionOrder", {**order, "to": "Atlantis", "depots": ["Leeds"]}).saga
    _at_rest("stock", "bank", "carrier")
    assert onward.steps.get(name="book-2").result == {"parcel": "to Leeds"}


RESEARCHED = {"D": 13, "C": 20, "F": 16, "I": 15}
PLACE = re.compile(r"`((?:bench|bin|docs|participants|sagaproject|sagas|tests)/[\w./-]*)(?:::(\w+))?`")


def test_every_decision_stands_in_the_list_in_its_order_under_its_title() -> None:
    decisions = ROOT / "docs" / "decisions"
    pages = sorted(decisions.glob("0*.md"))
    titles = [re.sub(r"^# (\d+\. )?", "", page.read_text().partition("\n")[0]) for page in pages]
    listed = re.findall(
        r"^\| (\d+) \| \[(.*)\]\((.*)\) \|$", (decisions / "README.md").read_text(), re.MULTILINE
    )
    assert listed == [
        (str(int(page.name[:4])), title, page.name) for page, title in zip(pages, titles, strict=True)
    ]


def test_everything_researched_has_its_row() -> None:
    """Decisions, cases, faults and invariants: each is built and tested, or says why not."""
    page = (ROOT / "docs" / "reliability.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"
    ]
    said = {row[0]: row[1:] for row in rows}
    wanted = [f"{kind}{n}" for kind, count in RESEARCHED.items() for n in range(1, count + 1)]
    assert [each for each in wanted if each not in said] == []
    for each in wanted:
        sentence, built, tested = said[each]
        assert sentence, each
        assert built, each
        assert tested or built.startswith("not applicable: "), each


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    for path, test in PLACE.findall(page.read_text()):
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"


def test_every_test_stands_in_a_lane_of_bin_test() -> None:
    lanes = (ROOT / "bin" / "_test.py").read_text()
    present = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}
    assert [name for name in present if f'"tests/{name}"' not in lanes] == []
