"""What may happen to a saga, each thing under a name that a kept schedule can say."""

from enum import StrEnum, auto


class Fault(StrEnum):
    """What may happen next; each is aimed at one of the things that it may happen to."""

    # What happens anyway
    START = auto()
    WORK = auto()
    """A worker claims a command, the participant executes it, the reply arrives."""
    CLAIM = auto()
    EXECUTE = auto()
    DELIVER = auto()
    GO_ON = auto()
    """The reply is committed, and what that makes due is leased to the same worker at once."""
    FINISH = auto()
    """What a participant took on is done, and its answer is on its way from outside."""
    RETURN = auto()
    """A handler that had vanished is back."""
    TAKE_IN = auto()
    """What was published in a choreography is taken in by itself, not with a reply."""

    # Deliveries and workers
    DROP = auto()
    """The request never arrives: the worker crashed before the effect."""
    LOSE = auto()
    """The reply is lost: the worker crashed after the effect."""
    EXECUTE_AGAIN = auto()
    """The request is repeated: it arrives, and stays on its way."""
    EXECUTE_LAST = auto()
    """A request overtakes those that were sent before it."""
    TIMEOUT = auto()
    """It is executed, and the caller is told that nobody knows."""
    DELIVER_AGAIN = auto()
    DELIVER_LAST = auto()
    """A reply overtakes those that were given before it."""
    ECHO = auto()
    """A reply that was heard long ago is heard once more."""
    REPORT = auto()
    """A reply comes from outside, under no lease; and its worker will speak, too."""
    CRASH_AT_START = auto()
    """The start is decided and never committed."""
    CRASH_BEFORE_COMMIT = auto()
    """The reply is decided and never committed; the worker is dead."""
    CRASH_AFTER_COMMIT = auto()
    """The reply is committed, and what that made due is leased to a worker who is dead."""
    LEASE_LOST = auto()
    """Time-out or crash: the outcome of the attempt is unknown, and it may go on all the same."""
    JUMP_FORWARD = auto()
    """The database's clock jumps past every lease."""
    JUMP_BACK = auto()
    RESTART = auto()
    """Everything forgets; what is known is what was stored."""

    # Publishers
    PUBLISH_AGAIN = auto()
    """Who published an event was told nothing, and publishes it once more."""
    PUBLISH = auto()
    """Somebody from outside publishes an event of the choreography."""

    # Deployments
    UNSERVED = auto()
    """The worker knows no handler of that name."""
    MISCONFIGURED = auto()
    """The command cannot be sent, for a reason that only we can mend."""
    GARBLE = auto()
    """The participant has done what it was told, and answers what nobody understands."""
    VANISH = auto()
    """A participant's handlers disappear with a deployment."""

    # An operator
    RETRY = auto()
    SKIP = auto()
    RESOLVE = auto()
    """Says truly what became of it."""
    COMPENSATE = auto()
    EDIT = auto()
    PAUSE = auto()
    RESUME = auto()
    APPROVE = auto()
    REJECT = auto()
    REMAP = auto()
    """A step's command is called by another name from now on."""
    DENY = auto()
    """Says, without looking, that it had no effect."""
    CLICK_AGAIN = auto()
    """The same click, with the same action id, arrives again."""
    CLICK_STALE = auto()
    """A click on a page that shows an older version."""
    CLICK_LATE = auto()
    """A click of long ago arrives now, and names no version."""
    CLICK_LOST = auto()
    """The verb is decided and never committed; the same click comes again."""


#: What is no fault.
ORDINARY = frozenset(
    {
        Fault.START,
        Fault.WORK,
        Fault.CLAIM,
        Fault.EXECUTE,
        Fault.DELIVER,
        Fault.GO_ON,
        Fault.FINISH,
        Fault.RETURN,
        Fault.TAKE_IN,
    }
)
CLICKS = (
    *(Fault.RETRY, Fault.SKIP, Fault.RESOLVE, Fault.COMPENSATE, Fault.EDIT),
    *(Fault.PAUSE, Fault.RESUME, Fault.APPROVE, Fault.REJECT),
)
BAD_CLICKS = (Fault.CLICK_AGAIN, Fault.CLICK_STALE, Fault.CLICK_LATE, Fault.CLICK_LOST)
#: What happens to choreographies alone.
PUBLISHING = (Fault.TAKE_IN, Fault.PUBLISH_AGAIN, Fault.PUBLISH)
DEPLOYMENTS = (Fault.UNSERVED, Fault.MISCONFIGURED, Fault.GARBLE, Fault.VANISH, Fault.RETURN)
#: The network and the workers at their worst.
DELIVERY = tuple(
    f for f in Fault if f not in {*CLICKS, *BAD_CLICKS, *DEPLOYMENTS, *PUBLISHING, Fault.DENY, Fault.REMAP}
)
FAULTS = tuple(fault for fault in Fault if fault not in ORDINARY)
