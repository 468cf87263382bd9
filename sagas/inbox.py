"""The participant's inbox: however often a command arrives, and in whatever order, it has one effect.

A participant keeps a table derived from :class:`Inbox` beside its own tables, and wraps its
handlers with :func:`once`. The effect and the remembered reply, completed or rejected, are one
transaction. An undo that finds no effect leaves a tombstone under its action's key, and an
action that arrives at a tombstone is refused.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import models, router, transaction
from django.db.models.functions import Now

from sagas import rows
from sagas.core.answers import Later, NoSuchCommand, Rejected, Unavailable
from sagas.core.plain import NotPlain, plain
from sagas.registry import check_argument, is_async, is_registered


class Inbox(models.Model):
    """Derive a participant's own table from this one."""

    COMPLETED, REJECTED, CANCELLED, LATER = "completed", "rejected", "cancelled", "later"

    key = models.CharField(max_length=250, primary_key=True, help_text="The command's idempotency key.")
    command = models.CharField(max_length=200)
    outcome = models.CharField(
        max_length=16, blank=True, help_text="Empty only inside the transaction that decides it."
    )
    reply = models.JSONField(null=True, help_text="What was answered, and is answered again.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.key

    def answer(self) -> Any:
        """Give the remembered reply once more: return the result, or raise the rejection."""
        if self.outcome == self.COMPLETED:
            return self.reply
        if self.outcome == self.LATER:
            within: Any = self.reply
            return Later(within)
        raise Rejected("cancelled" if self.outcome == self.CANCELLED else str(self.reply))


#: With these there is something to undo: an effect, or one that is under way.
_DONE = (Inbox.COMPLETED, Inbox.LATER)


def once(inbox: type[Inbox]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap a handler so that its effect happens once per key, together with its remembered reply.

    The handler runs inside a transaction of the inbox' database: its own writes belong there, and
    whatever is slow or reaches outside does not. An undo is only called when there is an effect to undo;
    where it was to publish an event, that is published all the same (``Reaction.compensates``).
    Raises TypeError for an ``async def`` handler: a transaction cannot be held across an await; for one that
    is registered already, which would be called without its inbox; and for what is no inbox.
    """
    _check_inbox("@once", inbox)

    def wrap(handler: Callable[..., Any]) -> Callable[..., Any]:
        if is_async(handler):
            raise TypeError(f"{handler.__qualname__}: a handler with an inbox must be a plain function.")
        if is_registered(handler):
            raise TypeError(
                f"{handler.__qualname__} is registered already, without its inbox: write @once below @command."
            )
        check_argument("@once", handler, "command")

        @wraps(handler)
        def remembered(command: Any) -> Any:
            with transaction.atomic(using=router.db_for_write(inbox)):
                entry = _take(inbox, command.meta.key, command.name)
                if not entry.outcome:
                    _decide(inbox, entry, handler, command)
            return entry.answer()

        remembered.saga_inbox = True  # type: ignore[attr-defined]
        return remembered

    return wrap


def became_of(inbox: type[Inbox]) -> Callable[[Any], Any]:
    """Return the handler of a probe: it tells from an inbox what became of the command that it is asked about.

    What was answered is answered again, a promise with what is left of its time, and a tombstone says no. Raises
    :class:`NoSuchCommand` for what has not arrived, or is being decided about; it waits for nobody.
    """
    _check_inbox("became_of", inbox)

    def tell(command: Any) -> Any:
        known = inbox._default_manager.filter(key=command.meta.key).exclude(outcome="")
        entry = known.annotate(now=Now()).first()
        if entry is None:
            raise NoSuchCommand
        return _left(entry) if entry.outcome == Inbox.LATER else entry.answer()

    tell.__module__, tell.__qualname__ = inbox.__module__, f"became_of({inbox.__qualname__})"
    return tell


def _check_inbox(caller: str, inbox: object) -> None:
    """Raise unless it is a class derived from ours: ``@once`` alone would take the handler for its inbox."""
    if not isinstance(inbox, type):
        raise TypeError(f"{caller} takes the inbox first: {caller}(OrdersInbox).")
    if not issubclass(inbox, Inbox):
        raise TypeError(f"{inbox.__name__} is no Inbox: derive it from sagas.inbox.Inbox.")


def _left(entry: Any) -> Later:
    """Return a promise with the time that is left of it. Raises :class:`Unavailable` if that is over."""
    left = float(entry.reply) - (entry.now - entry.at).total_seconds()
    if left <= 0:
        raise Unavailable(f"it was to be answered within {float(entry.reply):g} s, and that time is over")
    return Later(within=left)


def _take(inbox: type[Inbox], key: str, command: str, outcome: str = "") -> Inbox:
    """Return the locked entry for a key, made now if need be; waits for whoever is deciding about it."""
    entry = inbox(key=key, command=command, outcome=outcome)
    if rows.insert_unless_there(entry):
        return entry
    return inbox._default_manager.select_for_update().get(key=key)


def _to_keep(handler: Callable[..., Any], reply: Any) -> Any:
    """Return an answer as it will be given again. Raises TypeError for one that cannot be; its effect goes with it."""
    try:
        return plain(reply, "result")
    except NotPlain as wrong:
        told = f"{handler.__qualname__} returned what its inbox cannot keep: {wrong}"
        raise TypeError(f"{told}. Return plain JSON, or nothing.") from None


def _called(using: str, handler: Callable[..., Any], command: Any) -> Any:
    """Call the handler, unless its model refuses: that counts only now, where no attempt before it was taken.

    Raises RuntimeError if what it did is to be rolled back though it answers: the answer would outlive its effect.
    """
    refusal = getattr(command, "refusal", None)
    if refusal is not None:
        raise Rejected(refusal)
    answer = handler(command)
    if transaction.get_rollback(using):
        raise RuntimeError(
            f"{handler.__qualname__} returned an answer, and its transaction is lost: it caught an error of the"
            " database. Put what may fail into a transaction.atomic() of its own."
        )
    return answer


def _decide(inbox: type[Inbox], entry: Inbox, handler: Callable[..., Any], command: Any) -> None:
    undoes = command.meta.undoes
    undone = _take(inbox, undoes, command.name, Inbox.CANCELLED) if undoes else None
    if undone is not None and undone.outcome not in _DONE:
        entry.outcome, entry.reply = Inbox.COMPLETED, {"undone": False, "reason": "there was no effect"}
    else:
        using = router.db_for_write(inbox)
        try:
            with transaction.atomic(using=using):
                entry.reply = _called(using, handler, command)
            entry.outcome = Inbox.COMPLETED
            if isinstance(entry.reply, Later):
                entry.outcome, entry.reply = Inbox.LATER, entry.reply.within
            else:
                entry.reply = _to_keep(handler, entry.reply)
        except Rejected as no:
            entry.outcome, entry.reply = Inbox.REJECTED, str(no)
    entry.save(update_fields=["outcome", "reply"])
    if undone is not None and undone.outcome == Inbox.LATER and entry.outcome == Inbox.COMPLETED:
        undone.outcome = Inbox.CANCELLED  # nobody keeps that promise any more
        undone.save(update_fields=["outcome"])
