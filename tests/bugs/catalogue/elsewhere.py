"""Bugs towards participants elsewhere: what goes out, what an answer means, who may call back."""

from tests.bugs.bug import bug
from tests.bugs.planting import rewrite

HTTP, CALLBACKS = "tests/sagas/test_http.py", "tests/sagas/test_callbacks.py"


@bug(HTTP, chaos=True)
def server_errors_are_rejections() -> None:
    """An answer of 500 is taken for a no, though the participant may have done what it was asked to."""
    rewrite("sagas.transports.http:meaning", "case 409 | 422:", "case 409 | 422 | 500:")


@bug(HTTP)
def any_success_is_done() -> None:
    """Whatever looks like a success counts as done, though only 200 says so."""
    rewrite("sagas.transports.http:meaning", "case 200:", "case 200 | 201 | 204 | 206:")


@bug(HTTP)
def what_is_garbled_never_was() -> None:
    """An answer that nobody understands counts as if the command had never arrived: no rollback undoes it."""
    rewrite("sagas.transports.http:meaning", "arrived=True", "arrived=False")


@bug("tests/sagas/test_waits.py")
def keys_of_replies_are_not_read() -> None:
    """Whoever answers a step from outside answers what is open by then, whichever command it was asked."""
    rewrite("sagas.orchestrator.replies:_number", "if key is not None:", "if False:")


@bug(HTTP)
def private_addresses_for_everybody() -> None:
    """A service may be on any private address, whether or not it is listed as private."""
    rewrite("sagas.transports.wire:_may", "ip.is_global or private", "True")


@bug(CALLBACKS, chaos=True)
def callbacks_unsigned() -> None:
    """A callback is taken without a look at its signature: anybody may answer for a participant."""
    rewrite("sagas.api.callbacks:_verify", "raise Problem", "return\n        raise Problem")


@bug(CALLBACKS)
def stale_callbacks_taken() -> None:
    """A signature is good for ever: who has seen a callback may send it again in a year."""
    rewrite("sagas.transports.signing:verify", "abs(now - int(timestamp)) > TOLERANCE", "False")


@bug(CALLBACKS)
def last_callback_counts() -> None:
    """A participant that answers a command otherwise the second time is believed."""
    rewrite(
        "sagas.orchestrator.callbacks:call_back", "told is not None and not _takes_back(told, reply)", "False"
    )
