"""System checks: what would go wrong later is said at start-up, with the class, the reason and a way out."""

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.db import OperationalError, ProgrammingError, router
from django.utils.module_loading import import_string, module_has_submodule

from sagas import SagaOrchestrator, conf, illtyped, orchestrator, registry
from sagas.core import messages as m
from sagas.core.cron import InvalidExpression
from sagas.core.definition import InvalidDefinition, SagaDefinition, SagaStep
from sagas.core.place import place
from sagas.engine.periodic import cron_of
from sagas.models import Saga
from sagas.orchestrator import rehearsal
from sagas.orchestrator.start import check_data
from sagas.spelling import misspelt
from sagas.unrepeatable import unrepeatable

TAG = "sagas"
#: Of an approval that asks a group or a permission which is not there.
ASKS_NOBODY = "sagas.W014"
#: What define_steps may well raise only because it was called without data.
_MISSES_DATA = (LookupError, TypeError, ValueError, AttributeError)
#: What Python says of a call with wrong arguments, which is as wrong with any data.
_MISCALLED = re.compile(
    r"unexpected keyword argument|positional arguments? but|SagaStep\.__init__\(\) missing"
)

#: What a module has that defines sagas, or handles their commands.
_OURS = re.compile(r"^\s*(?:from|import) sagas\b", re.MULTILINE)


@register(TAG)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Find settings that are unknown or have an impossible value."""
    try:
        conf.read(getattr(settings, "SAGAS", {}))
    except conf.ImpossibleSetting as wrong:
        return [Error(str(wrong), hint="The settings are described in sagas/conf.py.", id="sagas.E001")]
    return []


@register(TAG)
def check_alerts(**_: Any) -> list[CheckMessage]:
    """Find functions that no alert can be told by, and alerts that lead nowhere."""
    if check_settings():  # which say what channels there are
        return []
    ours = conf.settings()
    found: list[CheckMessage] = []
    for name, channel in sorted(ours.ALERTS.items()):
        if channel.call and (wrong := uncallable(channel.call)):
            text = f"SAGAS['ALERTS'][{name!r}]: {channel.call} {wrong}."
            hint = "It is called with what a webhook gets: def page(message). `saga alert try` sends a trial."
            found.append(Error(text, hint=hint, id="sagas.E016"))
    if ours.ALERTS and not ours.DESK_URL:
        text = "Alerts are told, and lead nowhere: SAGAS['DESK_URL'] is empty."
        hint = "Set it to the desk's address as its operators see it, as https://desk.example."
        found.append(Warning(text, hint=hint, id="sagas.W020"))
    return found


@register(TAG)
def check_callbacks(**_: Any) -> list[CheckMessage]:
    """Find participants elsewhere that have nowhere to send an answer which takes longer."""
    if check_settings():  # which say who is elsewhere, and refuse an address that is not whole
        return []
    ours = conf.settings()
    if not ours.HTTP or ours.CALLBACK_URL:
        return []
    text = (
        f"SAGAS['HTTP'] names {', '.join(sorted(ours.HTTP))}, and SAGAS['CALLBACK_URL'] is empty: who says 202 cannot"
        " answer later, and its outcome is unknown in the end."
    )
    hint = (
        "Set it to this site's address as participants see it, as https://desk.example. Where all of them answer at"
        ' once, say SILENCED_SYSTEM_CHECKS = ["sagas.W027"].'
    )
    return [Warning(text, hint=hint, id="sagas.W027")]


def uncallable(path: str) -> str:
    """Say why there is no function at a path; nothing if there is one."""
    try:
        function = import_string(path)
    except Exception as fault:  # a module of the project's own, which may raise anything
        return f"cannot be imported: {_said(fault)}"
    return "" if callable(function) else "is not a function"


@register(TAG)
def check_saga_types(**_: Any) -> list[CheckMessage]:
    """Find saga types that could not run, or could not be rolled back."""
    found = [*_unusable_classes(), *_unread_modules()]
    if check_settings():  # which say where participants are
        return found
    for _name, author in sorted(registry.saga_types().items()):
        found += _check_saga_type(author)
    return [*found, *_misspelt(), *_unrepeatable()]


@register(Tags.database, TAG)
def check_approvers(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Find approvals that nobody could give, where a definition names whom it asks whatever its data is."""
    if router.db_for_write(Saga) not in (databases or ()):
        return []
    asked = [each for _, author in sorted(registry.saga_types().items()) for each in _approvals(author)]
    try:
        missing = orchestrator.missing_approvers(by for _, by, _ in asked)
    except (OperationalError, ProgrammingError):
        return []  # before the first migration there are none
    return [_asks_nobody(*each) for each in asked if each[1] in missing]


def _approvals(author: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the steps of a type that ask somebody, whom, and its class; what needs data is only known with that."""
    try:
        steps = orchestrator.sample_definition(author).steps
    except Exception:  # an author's code, which check_saga_types tells of
        return
    for step in steps:
        if step.approval is not None:
            yield f"{author.saga_type}: step {step.name}", step.approval.by, _class_of(author)


def _asks_nobody(step: str, by: str, where: str) -> CheckMessage:
    kind, _, name = by.partition(":")
    if kind == "group":
        text = f"{step} asks the group {name}, and there is no such group: only a superuser can answer."
        hint = "Make it in the admin and put people into it, or name another one in approval(by=…)."
    else:
        text = f"{step} asks who has the permission {name}, and there is no such one: only a superuser can answer."
        hint = "approval(by=…) takes perm:app.codename, as the admin lists permissions; migrate makes them."
    return Warning(text, hint=hint, obj=where, id=ASKS_NOBODY)


def _unusable_classes() -> Iterator[CheckMessage]:
    """Yield an error for each class that the registry cannot take."""
    for where, fault in registry.faults().items():
        if isinstance(fault, registry.AlreadyRegistered):
            hint = "Rename one of the two, or do not install both."
            yield Error(str(fault), hint=hint, obj=where, id="sagas.E002")
        elif isinstance(fault, registry.Unnamed):
            hint = 'Give it one: saga_type = "Order".'
            yield Warning(str(fault), hint=hint, obj=where, id="sagas.W001")
        else:
            hint = "Its constructor must work without arguments, or with None for each."
            yield Error(
                f"{where} cannot be instantiated: {_said(fault)}.", hint=hint, obj=where, id="sagas.E003"
            )


def _unread_modules() -> Iterator[CheckMessage]:
    """Yield a warning for each app whose sagas stand in a module of another name than the one that is looked for."""
    for app in apps.get_app_configs():
        name = f"{app.name}.saga"
        if name in sys.modules or module_has_submodule(app.module, "sagas"):
            continue  # somebody has imported it
        if not module_has_submodule(app.module, "saga"):  # nor has an app of one module any
            continue
        origin = getattr(find_spec(name), "origin", None)
        if origin and origin.endswith(".py") and _OURS.search(Path(origin).read_text(errors="replace")):
            text = f"{name} is not loaded: sagas are looked for in the module {app.name}.sagas."
            hint = "Rename it to sagas.py, or import it there."
            yield Warning(text, hint=hint, obj=app.label, id="sagas.W026")


def _check_saga_type(author: Any) -> list[CheckMessage]:
    where = _class_of(author)
    if misfits := list(illtyped.of_class(author)):
        return [_illtyped(text, where) for text in misfits]
    try:
        cron_of(author)
    except InvalidExpression as wrong:
        hint = 'every = "0 3 * * *", in settings.TIME_ZONE; docs/writing-a-saga.md says more.'
        return [Error(f"{author.saga_type}: every is {wrong}.", hint=hint, obj=where, id="sagas.E008")]
    if getattr(type(author), "define_steps", None) in {None, SagaOrchestrator.define_steps}:
        hint = "Define define_steps(self, data) and return a list of SagaStep."
        return [Error(f"{author.saga_type} has no define_steps.", hint=hint, obj=where, id="sagas.E005")]
    try:
        pinned = orchestrator.sample_definition(author)
    except orchestrator.Invalid as wrong:
        hint = "sample_data must be data that this saga could be started with."
        return [Error(f"sample_data is not accepted: {wrong}", hint=hint, obj=where, id="sagas.E004")]
    except InvalidDefinition as wrong:
        hint = "A saga of this type can neither run nor be started until its definition is mended."
        return [Error(str(wrong), hint=hint, obj=where, id="sagas.E005")]
    except Exception as fault:  # an author's code may raise anything
        return [_define_steps_raised(author, fault, where)]
    begun = _begun(author, pinned)
    if isinstance(begun, str):
        text = f"{author.saga_type}: with its sample_data the function fails: {begun}."
        return [Error(text, hint="Mend the function, or sample_data.", obj=where, id="sagas.E010")]
    found = (_illtyped(text, where) for text in illtyped.of_steps(begun))
    return [*found, *_misshown(begun, where), *_unhandled(begun, where), *_unborn(begun, where)]


def _illtyped(text: str, where: str) -> CheckMessage:
    hint = "docs/writing-a-saga.md says what each is for, and what it may be."
    return Error(text, hint=hint, obj=where, id="sagas.E021")


def _misshown(pinned: SagaDefinition, where: str) -> Iterator[CheckMessage]:
    for text in illtyped.of_shown(pinned):
        hint = 'show="Refund {amount} to {customer.name}", or paths without braces: show=("amount", "customer.name").'
        yield Warning(text, hint=hint, obj=where, id="sagas.W025")


def _begun(author: Any, pinned: SagaDefinition) -> SagaDefinition | str:
    """Return the definition with the first steps that a function asks for, called with its sample data; or its error.

    Nothing is carried out, so that is as far as it goes: the function has no result to go on with.
    """
    sample = getattr(author, "sample_data", None)
    if not pinned.growing or sample is None:
        return pinned
    said = rehearsal.begin(pinned, check_data(author, sample))
    if isinstance(said, m.Unserved):
        return said.error
    return pinned.grown(said.steps) if isinstance(said, m.Grown) else pinned


def _misspelt() -> Iterator[CheckMessage]:
    """Yield a warning for each name that nobody asks for; a base that many types share is told of once."""
    classes = [type(author) for _, author in sorted(registry.saga_types().items())]
    for where, text in dict.fromkeys(told for each in classes for told in misspelt(each)):
        hint = "Rename it; what is for yourself only may begin with an underscore."
        yield Warning(text, hint=hint, obj=where, id="sagas.W016")


def _unrepeatable() -> Iterator[CheckMessage]:
    """Yield a warning for each call in a durable function that is another in each run."""
    for saga_type, author in sorted(registry.saga_types().items()):
        if getattr(author, "growing", False):
            for text in unrepeatable(type(author).function):
                hint = "docs/durable-functions.md says what must be the same in each run."
                yield Warning(f"{saga_type}: {text}.", hint=hint, obj=_class_of(author), id="sagas.W017")


def _class_of(author: Any) -> str:
    return f"{type(author).__module__}.{type(author).__qualname__}"


def _define_steps_raised(author: Any, fault: Exception, where: str) -> CheckMessage:
    missing = isinstance(fault, _MISSES_DATA) and not _MISCALLED.search(str(fault))
    if getattr(author, "sample_data", None) is None and missing:
        text = (
            f"{author.saga_type}: define_steps needs data, so its steps are only checked when a saga starts."
        )
        hint = f"Set sample_data to have them checked here, too. Without data it says {_said(fault)}."
        return Info(text, hint=hint, obj=where, id="sagas.I001")
    text = f"{author.saga_type}: define_steps fails: {_said(fault)}."
    return Error(text, hint="Mend define_steps, or sample_data.", obj=where, id="sagas.E006")


def _said(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}".rstrip(".: ") + place(fault)


def _unhandled(pinned: SagaDefinition, where: str) -> Iterator[CheckMessage]:
    for step in pinned.steps:
        for role, name in _commands(step):
            if registry.handler(name) is None and registry.queue_for(name) not in conf.settings().ELSEWHERE:
                text = f"{pinned.saga_type}: nobody handles {name}, the {role} of step {step.name}."
                # No Error: the handler may come with another process, or a later deploy; the saga waits for it.
                yield Warning(text, hint=_remedy(name, registry.commands()), obj=where, id="sagas.W024")


def _unborn(pinned: SagaDefinition, where: str) -> Iterator[CheckMessage]:
    for step in pinned.steps:
        if step.child is not None and registry.saga_type(step.child.saga_type) is None:
            name = step.child.saga_type
            text = f"{pinned.saga_type}: step {step.name} starts a {name}, and there is no such saga type."
            close = difflib.get_close_matches(name, registry.saga_types(), n=3)
            hint = f"Did you mean {' or '.join(close)}?" if close else "Define it in an installed app."
            yield Error(text, hint=hint, obj=where, id="sagas.E009")


def _commands(step: SagaStep) -> Iterator[tuple[str, str]]:
    if step.timer is None and step.approval is None:
        yield "action", step.action
    if step.undo is not None:
        yield "compensation", step.undo
    if step.probe is not None:
        yield "probe", step.probe
    if step.undo_probe is not None:
        yield "probe of the undo", step.undo_probe


def _remedy(name: str, known: Iterable[str]) -> str:
    close = [*_elsewhere(name), *difflib.get_close_matches(name, known, n=3)]
    meant = f"Did you mean {' or '.join(close)}? Else write" if close else "Write"
    subscriber, on, event = name.partition(" on ")
    decorator = f'@subscribe("{event}", name="{subscriber}")' if on else f'@command("{name}")'
    return (
        f"{meant} a function decorated with {decorator} in the `sagas` module of an installed app;"
        f" or if workers of another project do, name its queue, {registry.queue_for(name)}, in SAGAS['ELSEWHERE']."
        " Without either, a saga that comes to it asks for a person (no_handler)."
    )


def _elsewhere(name: str) -> Iterator[str]:
    """Yield what the command is called if its service is a misspelt one of those that are called by HTTP."""
    service, _, command = name.partition(".")
    stems = {_stem(known): known for known in conf.settings().HTTP}
    for stem in difflib.get_close_matches(_stem(service), stems, n=1, cutoff=0.75):
        yield f"{stems[stem]}.{command} (SAGAS['HTTP'] says where {stems[stem]} is)"


def _stem(service: str) -> str:
    """Return what tells one service from others: nearly all of them are called so and so *Service*."""
    return service.lower().removesuffix("service")
