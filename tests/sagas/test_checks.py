"""The start-up checks: which class, what is wrong, and what would help."""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group
from django.core.checks import CheckMessage
from pydantic import BaseModel

from sagas import (
    Choreography,
    Reaction,
    Rejected,
    SagaOrchestrator,
    SagaStep,
    approval,
    checks,
    child,
    command,
    durable_saga,
    registry,
    spelling,
    subscribe,
)

Define = Callable[..., list[CheckMessage]]


@pytest.fixture
def define() -> Iterator[Define]:
    """Define saga types that exist for one test, and return what the checks say about them."""
    with mock.patch.multiple(registry, _saga_classes={}, _saga_types={}, _faults={}):

        def make(*steps: SagaStep, base: type = SagaOrchestrator, **attributes: Any) -> list[CheckMessage]:
            body = {"saga_type": "Trial", "define_steps": lambda self, data: list(steps), **attributes}
            type("Trial", (base,), {name: value for name, value in body.items() if value is not None})
            return checks.check_saga_types()

        yield make


def step(name: str = "fetch", action: str = "FetchService.Fetch", *more: Any, **options: Any) -> SagaStep:
    return SagaStep(name, action, *more, **options)


def said(messages: Sequence[CheckMessage]) -> tuple[str, str, str]:
    (message,) = messages
    return message.id or "", message.msg, message.hint or ""


def test_a_good_definition_is_passed_in_silence(define: Define) -> None:
    assert define(step(), step("pay", "PayService.Pay", "PayService.Refund")) == []


@pytest.mark.parametrize(("kind", "hint"), [("Trail", "Did you mean Trial?"), ("Nothing", "Define it in")])
def test_a_child_of_a_type_that_is_not_there_is_said_at_the_start(
    define: Define, kind: str, hint: str
) -> None:
    identity, text, remedy = said(define(step(), child("more", kind)))
    assert identity == "sagas.E009"
    assert text == f"Trial: step more starts a {kind}, and there is no such saga type."
    assert remedy.startswith(hint)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((), "no steps"),
        ((step(), step()), "used twice: fetch"),
        ((step(needs=("lunch",)),), "fetch needs lunch"),
        ((step("a", needs=("b",)), step("b", needs=("a",))), "circle"),
        ((step("a", pivot=True), step("b")), "not retriable"),
        ((step("a", pivot=True), step("b", pivot=True, retriable=True)), "more than one pivot"),
        (("fetch",), "must return SagaStep"),
    ],
)
def test_an_invalid_definition_says_which_class_and_why(define: Define, steps: Any, says: str) -> None:
    (message,) = define(*steps)
    assert message.id == "sagas.E005"
    assert message.msg.startswith("Trial")
    assert says in message.msg
    assert "Trial" in message.obj
    assert message.is_serious()


def test_a_command_that_nobody_handles_names_the_step_and_what_was_meant(define: Define) -> None:
    found = define(step("fetch", "FetchService.Fetsch", "FetchService.Burn"), step("pay", "Bank.Wire"))
    texts = [(message.id, message.msg) for message in found]
    assert texts == [
        ("sagas.W024", "Trial: nobody handles FetchService.Fetsch, the action of step fetch."),
        ("sagas.W024", "Trial: nobody handles FetchService.Burn, the compensation of step fetch."),
        ("sagas.W024", "Trial: nobody handles Bank.Wire, the action of step pay."),
    ]
    assert not any(message.is_serious() for message in found), "a saga that comes to one asks a person"
    assert "FetchService.Fetch" in (found[0].hint or "")
    assert '@command("Bank.Wire")' in (found[2].hint or "")


def test_a_command_that_workers_of_another_project_serve_needs_no_handler_here(
    define: Define, settings: Any
) -> None:
    settings.SAGAS = {"ELSEWHERE": ["bank"]}
    assert [message.msg for message in define(step("pay", "BankService.Wire"), step("call", "Far.Call"))] == [
        "Trial: nobody handles Far.Call, the action of step call."
    ]


@pytest.mark.parametrize("service", ["Carier", "CarrierService", "carrier"])
def test_a_service_that_is_nearly_one_that_is_called_by_http_is_asked_about(
    define: Define, settings: Any, service: str
) -> None:
    carrier = {"url": "https://carrier.example/", "secrets": ["s" * 32]}
    settings.SAGAS = {"HTTP": {"Carrier": carrier}, "CALLBACK_URL": "https://desk.example/"}
    hints = [message.hint for message in define(step("book", f"{service}.Book"), step("pay", "Bank.Wire"))]
    assert hints[0].startswith("Did you mean Carrier.Book (SAGAS['HTTP'] says where Carrier is)")
    assert hints[1].startswith("Write a function")


def test_a_definition_that_needs_data_is_checked_at_the_start_instead(define: Define) -> None:
    id_, _, hint = said(define(define_steps=lambda self, data: [step(data["name"])]))
    assert id_ == "sagas.I001"
    assert "sample_data" in hint
    assert not define(define_steps=lambda self, data: [step(data["name"])], sample_data={"name": "fetch"})


def test_a_definition_that_fails_with_its_own_sample_is_an_error(define: Define) -> None:
    id_, text, _ = said(define(define_steps=lambda self, data: [step(data["name"])], sample_data={"size": 1}))
    assert (id_, "KeyError" in text) == ("sagas.E006", True)


def test_where_a_definition_fails_is_told_with_the_line_of_its_author(define: Define) -> None:
    def define_steps(self: Any, data: Any) -> list[SagaStep]:
        return [step(data["name"])]

    line = define_steps.__code__.co_firstlineno + 1
    _, text, _ = said(define(define_steps=define_steps, sample_data={"size": 1}))
    assert text == f"Trial: define_steps fails: KeyError: 'name' (test_checks.py:{line}, in define_steps)."


def answer(self: Any, saga: Any) -> None: ...


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "on_saga_complete",
            answer,
            "Trial.on_saga_complete is nothing that Sagadesk calls; did you mean on_saga_completed?",
        ),
        (
            "on_done",
            answer,
            "Trial.on_done is nothing that Sagadesk calls; its hooks are on_saga_completed and on_saga_failed.",
        ),
        ("dead_line", 5.0, "Trial.dead_line is nothing that Sagadesk reads; did you mean deadline?"),
        (
            "saga_dedline",
            answer,
            "Trial.saga_dedline is nothing that Sagadesk calls; did you mean saga_deadline?",
        ),
        (
            "default_time_out",
            5,
            "Trial.default_time_out is nothing that Sagadesk reads; did you mean default_timeout?",
        ),
        (
            "defines_steps",
            answer,
            "Trial.defines_steps is nothing that Sagadesk calls; did you mean define_steps?",
        ),
    ],
)
def test_a_name_that_nobody_asks_for_is_told_with_what_was_meant(
    define: Define, name: str, value: Any, says: str
) -> None:
    id_, text, _ = said(define(step(), **{name: value}))
    assert (id_, text) == ("sagas.W016", says)


def test_the_names_that_are_asked_for_and_those_of_an_authors_own_are_passed_in_silence(
    define: Define,
) -> None:
    ours = {
        "saga_deadline": lambda self, data: 5.0,
        "default_timeout": 5,
        "hold_on_failure": True,
        "every": None,
    }
    hooks = {"on_saga_completed": answer, "_on_saga_failed": answer}
    own = {"restart": answer, "_on_done": answer, "_dead_line": 5, "price_of": answer, "Line": BaseModel}
    assert define(step(), **ours, **hooks, **own) == []


def test_a_name_of_a_base_is_told_of_once_and_one_of_choreographies_only_where_it_means_something(
    define: Define,
) -> None:
    class Base(SagaOrchestrator):
        completed_event = "Told"

        def on_saga_fail(self, saga: Any) -> None: ...

    define(step(), base=Base)
    id_, text, _ = said(define(step(), base=Base, saga_type="Other"))
    assert (id_, text.split()[0]) == ("sagas.W016", "Base.on_saga_fail")

    class Dance(Choreography):
        completed_event = "Told"

    ((_, told),) = spelling.misspelt(Dance)
    assert told == "Dance.completed_event is nothing that Sagadesk reads; did you mean completed_events?"


def test_a_bug_is_an_error_and_not_taken_for_missing_data(define: Define) -> None:
    id_, text, _ = said(define(define_steps=lambda self, data: unknown_name))  # noqa: F821 - the bug
    assert (id_, "unknown_name" in text) == ("sagas.E006", True)


def wrongly(self: Any, data: Any) -> list[SagaStep]:
    return [step(compensate="FetchService.Burn")]


def nameless(self: Any, data: Any) -> list[SagaStep]:
    return [SagaStep("fetch")]  # type: ignore[call-arg]


def selfless(data: Any) -> list[SagaStep]:
    return [step()]


@pytest.mark.parametrize(
    ("define_steps", "says"),
    [
        (wrongly, "unexpected keyword argument 'compensate'"),
        (nameless, "missing 1 required positional argument: 'action'"),
        (selfless, "takes 1 positional argument but 2 were given"),
    ],
)
def test_a_call_with_wrong_arguments_is_not_taken_for_missing_data(
    define: Define, define_steps: Any, says: str
) -> None:
    id_, text, _ = said(define(define_steps=define_steps))
    assert (id_, says in text) == ("sagas.E006", True)


async def later(self: Any, data: Any) -> list[SagaStep]:
    return [step()]


def react(self: Any, data: Any) -> list[Reaction]:
    return [Reaction("pack", on="Ordered", publishes="Packed")]


@pytest.mark.parametrize(
    ("base", "attributes", "says"),
    [
        (SagaOrchestrator, {"define_steps": later}, "cannot be an async def"),
        (SagaOrchestrator, {"define_steps": lambda self, data: 7}, "in a list; not 7"),
        (SagaOrchestrator, {"define_steps": react}, "must be a Choreography with a first_event"),
        (Choreography, {"define_steps": react}, "must be a Choreography with a first_event"),
        (
            Choreography,
            {"first_event": "Ordered", "completed_events": "Packed"},
            "must return Reaction objects",
        ),
        (
            SagaOrchestrator,
            {"deadline": "3d"},
            "deadline must be more than 0 seconds, up to a hundred years, not '3d'",
        ),
    ],
)
def test_what_does_not_make_a_type_is_said_in_its_own_words(
    define: Define, base: type, attributes: dict[str, Any], says: str
) -> None:
    id_, text, _ = said(define(step(), base=base, **attributes))
    assert (id_, says in text) == ("sagas.E005", True), text


async def hears(self: Any) -> None: ...


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"data_model": dict}, "Trial: data_model must be a pydantic model, or None, not <class 'dict'>."),
        ({"hold_on_failure": "no"}, "Trial: hold_on_failure must be True or False, not 'no'."),
        (
            {"on_saga_completed": lambda self: None},
            "Trial calls <lambda>(saga), which it does not take: too many positional arguments.",
        ),
        (
            {"_on_saga_failed": hears},
            "Trial calls hears(saga), which it does not take: too many positional arguments.",
        ),
        ({"on_saga_failed": "mail"}, "Trial: on_saga_failed must be a function, not 'mail'."),
    ],
)
def test_an_attribute_of_another_kind_is_told_before_it_fails(
    define: Define, attributes: dict[str, Any], says: str
) -> None:
    id_, text, _ = said(define(step(), **attributes))
    assert (id_, text) == ("sagas.E021", says)


@pytest.mark.parametrize("flag", ["hold", "pivot", "retriable"])
def test_what_a_step_says_by_true_or_false_is_no_text(define: Define, flag: str) -> None:
    id_, text, _ = said(define(step(**{flag: "no"})))
    assert (id_, text) == ("sagas.E021", f"Trial: step fetch: {flag} must be True or False, not 'no'.")


def test_whether_one_may_approve_ones_own_is_no_text(define: Define) -> None:
    wrong: Any = "no"
    id_, text, _ = said(define(approval("ok", by="group:managers", self_approval=wrong)))
    assert (id_, text) == ("sagas.E021", "Trial: step ok: self_approval must be True or False, not 'no'.")


@pytest.mark.parametrize(
    "show", ["Refund {amount", "Refund { amount }", "Refund {}", "Refund {amount:.2f}", ("id", "{amount}")]
)
def test_braces_that_people_would_see_are_told(define: Define, show: Any) -> None:
    id_, text, _ = said(define(approval("ok", by="group:managers", show=show)))
    written = show if isinstance(show, str) else show[1]
    assert id_ == "sagas.W025"
    assert text == f"Trial: step ok: show has braces around what is no path, {written!r}."


@pytest.mark.parametrize("show", ["Refund {amount} to {customer.name}", "Refund", ("amount", "results.a.b")])
def test_braces_around_paths_are_passed_in_silence(define: Define, show: Any) -> None:
    assert define(approval("ok", by="group:managers", show=show)) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": dict}, "The command Misfit: model must be a pydantic model, not <class 'dict'>."),
        ({"inbox": "no"}, "The command Misfit: inbox must be True, False or None, not 'no'."),
    ],
)
def test_options_of_a_handler_of_another_kind_are_refused_where_they_stand(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(says)):
        command("Misfit", **options)
    assert "Misfit" not in registry.commands()


def test_a_reaction_without_a_subscriber_says_how_to_write_one(define: Define) -> None:
    attributes = {"first_event": "Ordered", "completed_events": "Packed", "define_steps": react}
    id_, text, hint = said(define(base=Choreography, **attributes))
    assert (id_, text) == ("sagas.W024", "Trial: nobody handles pack on Ordered, the action of step pack.")
    assert '@subscribe("Ordered", name="pack")' in hint


def nothing() -> None: ...


def two(saga: Any, data: Any) -> None: ...


@pytest.mark.parametrize("handler", [nothing, two])
@pytest.mark.parametrize(("decorator", "argument"), [(command, "command"), (subscribe, "event")])
def test_a_handler_that_does_not_take_one_argument_is_refused_where_it_stands(
    decorator: Any, argument: str, handler: Any
) -> None:
    says = f"^@{decorator.__name__} calls {handler.__name__}\\({argument}\\), which it does not take: "
    with pytest.raises(TypeError, match=says):
        decorator("Misfit")(handler)
    assert "Misfit" not in registry.commands()


def test_a_handler_is_judged_by_what_it_is_called_with_and_not_by_what_it_wraps() -> None:
    @wraps(two)
    def with_more(sent: Any) -> None:
        two(sent, "more")

    with mock.patch.dict(registry._commands):
        for fitting in (with_more, dict.fromkeys, dict, lambda *sent: None, lambda sent, more=1: None):
            command("Fitting")(fitting)
            del registry._commands["Fitting"]


@pytest.mark.parametrize("decorator", [command, subscribe])
def test_a_decorator_without_a_name_is_refused_where_it_stands(decorator: Any) -> None:
    with pytest.raises(TypeError, match=f"takes a name first, as @{decorator.__name__}"):

        @decorator
        def handler(command: Any) -> None: ...


@pytest.mark.parametrize(
    ("module", "text", "found"),
    [
        ("saga.py", "from sagas import SagaOrchestrator\n", True),
        ("saga.py", "import sagas\n", True),
        ("saga.py", "class Saga: ...  # a story\n", False),
        ("sagas.py", "from . import saga\n", False),
    ],
)
def test_sagas_in_a_module_of_nearly_that_name_are_told(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str, found: bool
) -> None:
    app = f"shop_{tmp_path.name}"
    (tmp_path / app).mkdir()
    (tmp_path / app / "__init__.py").touch()
    (tmp_path / app / "saga.py").write_text("from sagas import SagaStep\n")
    (tmp_path / app / module).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]
    told = [message for message in checks.check_saga_types() if message.id == "sagas.W026"]
    says = f"{app}.saga is not loaded: sagas are looked for in the module {app}.sagas."
    assert [message.msg for message in told] == ([says] if found else [])


def test_an_app_of_one_module_has_no_other(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = f"one_module_{tmp_path.name}"
    (tmp_path / f"{app}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]
    assert not [message for message in checks.check_saga_types() if message.id == "sagas.W026"]


def test_sample_data_must_be_data_that_the_saga_takes(define: Define) -> None:
    class Model(BaseModel):
        size: int

    id_, text, _ = said(define(step(), data_model=Model, sample_data={"size": "large"}))
    assert (id_, "data.size" in text) == ("sagas.E004", True)


def test_sample_data_that_handlers_would_never_see_is_found(define: Define) -> None:
    id_, text, _ = said(define(step(), sample_data={"results": []}))
    assert id_ == "sagas.E004"
    assert "data.results: would be hidden from handlers" in text


def test_a_class_without_define_steps_is_an_error(define: Define) -> None:
    assert said(define(define_steps=None))[0] == "sagas.E005"


def test_a_type_that_is_defined_twice_names_the_other(define: Define) -> None:
    define(step())
    id_, text, _ = said(define(step(), __qualname__="Other"))
    assert (id_, "Trial" in text) == ("sagas.E002", True)


def test_a_class_that_cannot_be_made_is_an_error(define: Define) -> None:
    def fails(self: Any) -> None:
        raise OSError("no network")

    id_, text, _ = said(define(step(), __init__=fails))
    assert (id_, "no network" in text) == ("sagas.E003", True)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"LEESE": 3}, "LEESE"), ({"LEASE": 0}, "LEASE"), ({"QUEUES": 3}, "QUEUES"), (7, "mapping")],
)
def test_an_impossible_setting_is_named(settings: Any, given: Any, says: str) -> None:
    settings.SAGAS = given
    id_, text, _ = said(checks.check_settings())
    assert (id_, says in text) == ("sagas.E001", True)


def test_possible_settings_are_passed(settings: Any) -> None:
    settings.SAGAS = {"LEASE": 5, "QUEUES": {"PayService": "bank"}}
    assert checks.check_settings() == []


def test_participants_elsewhere_that_could_not_answer_later_are_told(settings: Any) -> None:
    carrier = {"url": "https://carrier.example/", "secrets": ["s" * 32]}
    settings.SAGAS = {"HTTP": {"Carrier": carrier}}
    id_, text, _ = said(checks.check_callbacks())
    assert (id_, text.startswith("SAGAS['HTTP'] names Carrier, and")) == ("sagas.W027", True)
    settings.SAGAS = {"HTTP": {"Carrier": carrier}, "CALLBACK_URL": "https://desk.example"}
    assert checks.check_callbacks() == []
    settings.SAGAS = {"HTTP": {"Carrier": carrier}, "CALLBACK_URL": "/ops/"}
    assert checks.check_callbacks() == [], "that it is no address is told by another check"
    assert said(checks.check_settings())[0] == "sagas.E001"


def test_all_that_is_installed_is_sound() -> None:
    assert not [message for message in checks.check_saga_types() if message.is_serious()]


def test_a_group_that_a_definition_asks_must_be_there(define: Define, db: None) -> None:
    Group.objects.create(name="managers")
    assert define(approval("ok", by="group:managers"), approval("sure", by="group:mangers")) == []
    identity, text, remedy = said(checks.check_approvers(["default"]))
    assert identity == "sagas.W014"
    assert text.startswith("Trial: step sure asks the group mangers, and there is no such group")
    assert "Make it in the admin" in remedy
    assert checks.check_approvers() == [], "the database is asked only when somebody asks for it"


def test_a_permission_that_a_definition_asks_must_be_there(define: Define, db: None, settings: Any) -> None:
    known = approval("ok", by="perm:sagas.approve_saga")
    assert define(known, approval("sure", by="perm:sagas.aprove_saga")) == []
    identity, text, remedy = said(checks.check_approvers(["default"]))
    assert identity == "sagas.W014"
    assert text.startswith(
        "Trial: step sure asks who has the permission sagas.aprove_saga, and there is no such"
    )
    assert "perm:app.codename" in remedy
    for backend in ("Knowing", "Plain"):
        settings.AUTHENTICATION_BACKENDS = [f"tests.sagas.test_checks.{backend}"]
        assert checks.check_approvers(["default"]) == [], "it may know of permissions that no table has"
    settings.AUTHENTICATION_BACKENDS = [settings.AUTHENTICATION_BACKENDS[0], "tests.sagas.test_checks.Silent"]
    assert checks.check_approvers(["default"]) == []
    settings.AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        "tests.sagas.test_checks.Silent",
    ]
    assert len(checks.check_approvers(["default"])) == 1, "one that is asked for none knows of none"


class Plain:
    """Says yes and no, and lists nothing."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return True


class Silent:
    """Only knows who somebody is."""


class Knowing(ModelBackend):
    """Knows who may do what without any table."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return {"sagas.aprove_saga"}


def test_whom_a_definition_asks_that_needs_data_is_not_known_before(define: Define, db: None) -> None:
    define(define_steps=lambda self, data: [approval("ok", by=f"group:{data['team']}")])
    assert checks.check_approvers(["default"]) == []
    define(
        define_steps=lambda self, data: [approval("ok", by=f"group:{data['team']}")],
        sample_data={"team": "nobodies"},
        saga_type="Sampled",
    )
    assert "Sampled: step ok asks the group nobodies" in said(checks.check_approvers(["default"]))[1]


# Durable functions


@pytest.fixture
def function(define: Define) -> Iterator[Callable[..., list[CheckMessage]]]:
    """Make a durable function that exists for one test, and return what the checks say about it."""

    def make(body: Callable[..., Any], **options: Any) -> list[CheckMessage]:
        durable_saga("Trial", **{"sample_data": {"item": "book"}, **options})(body)
        return checks.check_saga_types()

    with mock.patch.dict(registry._commands):
        yield make


def test_a_function_is_tried_with_its_sample_data_as_far_as_it_goes(function: Any) -> None:
    def sound(saga: Any, data: Any) -> Any:
        fetched = saga.step("fetch", "FetchService.Fetch", input={"item": data["item"]})
        raise AssertionError(f"nobody was called, so there is no {fetched}")

    assert function(sound) == []


def test_what_is_wrong_with_a_function_is_told_with_its_line(function: Any) -> None:
    def wrong(saga: Any, data: Any) -> Any:
        saga.step("fetch", "FetchService.Fetch", input={"item": data["itme"]})

    id_, text, hint = said(function(wrong))
    assert id_ == "sagas.E010"
    line = wrong.__code__.co_firstlineno + 1
    assert text == (
        f"Trial: with its sample_data the function fails: KeyError: 'itme' (in line {line} of wrong, test_checks.py)."
    )
    assert "sample_data" in hint


def test_a_function_without_sample_data_is_not_tried(function: Any) -> None:
    assert function(lambda saga, data: data["nothing"], sample_data=None) == []


def test_of_a_functions_first_steps_handlers_and_children_are_looked_for(function: Any) -> None:
    def asks(saga: Any, data: Any) -> Any:
        saga.parallel(
            lambda: saga.step("fetch", "FetchService.Fetsh"), lambda: saga.child("trail", "Trail", {})
        )

    unhandled, unborn = function(asks)
    assert (unhandled.id, unborn.id) == ("sagas.W024", "sagas.E009")
    assert "nobody handles FetchService.Fetsh, the action of step fetch" in unhandled.msg


def _parcel() -> str:
    return f"parcel {uuid.uuid4()}"


@pytest.mark.parametrize("sample", [None, {"item": "book"}])
def test_what_is_another_in_each_run_of_a_function_is_told_with_its_line(function: Any, sample: Any) -> None:
    def wrong(saga: Any, data: Any) -> Any:
        saga.step(_parcel(), "FetchService.Fetch")
        time.sleep(1)
        return [datetime.now(), saga.now, random.choice([1, 2])]

    found = function(wrong, sample_data=sample)
    assert {each.id for each in found} == {"sagas.W017"}
    line = wrong.__code__.co_firstlineno
    assert sorted(each.msg for each in found) == [
        f"Trial: line {_parcel.__code__.co_firstlineno + 1} of _parcel, test_checks.py, calls uuid.uuid4(), which is"
        " another in each run; draw in a step, or use saga.id.",
        f"Trial: line {line + 2} of wrong, test_checks.py, calls time.sleep(), which holds up its worker, again in"
        " each run; saga.wait(…) waits, and holds nobody.",
        f"Trial: line {line + 3} of wrong, test_checks.py, calls datetime.now(), which is another in each run;"
        " saga.now is the same in all of them.",
        f"Trial: line {line + 3} of wrong, test_checks.py, calls random.choice(), which is another in each run; draw"
        " in a step, or use saga.id.",
    ]


def test_what_only_looks_so_is_not_told(function: Any) -> None:
    def sound(saga: Any, data: Any) -> Any:
        random, now = data, saga.now
        random.get("choice")
        datetime.fromisoformat(now.isoformat())
        return saga.step("fetch", "FetchService.Fetch")

    assert function(sound) == []


def test_a_function_may_turn_its_sample_data_down(function: Any) -> None:
    def refuses(saga: Any, data: Any) -> Any:
        raise Rejected("not today")

    assert function(refuses) == []


@pytest.mark.parametrize(("module", "told"), [("sagas.choreography", False), ("shop.sagas", True)])
def test_a_class_without_a_name_is_told_unless_it_is_one_of_ours_to_build_upon(
    module: str, told: bool
) -> None:
    base = type("Base", (), {"__module__": module, "define_steps": lambda self, data: []})
    with pytest.raises(registry.Unnamed) if told else nullcontext():
        registry._enter(base)
