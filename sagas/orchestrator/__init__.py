"""The verbs: start, deliver, retry, compensate and the rest.

The only writer of saga state. It knows neither RQ nor Channels: it records due work, and sends a signal.
"""

from sagas.orchestrator.actions import act, preview
from sagas.orchestrator.approvals import (
    ApprovalPage,
    Bars,
    OpenApproval,
    approvals_count,
    approvals_for,
    bars,
    missing_approvers,
    unanswerable,
    unanswered,
)
from sagas.orchestrator.asked import (
    LONGEST_REASON,
    STEP_VERBS,
    VERBS,
    Answer,
    Asked,
    Conflict,
    Forbidden,
    Invalid,
    KeyTaken,
    NotFound,
    OrchestratorError,
    Plan,
    Refused,
)
from sagas.orchestrator.bus import delivering, publish
from sagas.orchestrator.callbacks import call_back
from sagas.orchestrator.children import CannotUndo, UnderWay
from sagas.orchestrator.exporting import export
from sagas.orchestrator.importing import Imported, import_saga
from sagas.orchestrator.operators import permission
from sagas.orchestrator.pausing import (
    QUEUE_PERMISSION,
    QUEUE_VERBS,
    QueueAnswer,
    QueuePlan,
    act_on_queue,
    preview_queue,
    queue_named,
)
from sagas.orchestrator.personal import permitted, personal, seen_by
from sagas.orchestrator.queues import Queue, queues
from sagas.orchestrator.remapping import Affected, Remapped, affected, at_misconfigured, remap
from sagas.orchestrator.replies import (
    Answered,
    Delivered,
    as_uuid,
    compensation_completed,
    deliver,
    step_completed,
    step_failed,
)
from sagas.orchestrator.retention import old_sagas, prune
from sagas.orchestrator.snapshot import events, latest_events, snapshot, snapshots
from sagas.orchestrator.start import (
    Started,
    as_it_stands,
    definition_for,
    make_definition,
    saga_deadline,
    start,
    start_many,
)

__all__ = [
    "LONGEST_REASON",
    "QUEUE_PERMISSION",
    "QUEUE_VERBS",
    "STEP_VERBS",
    "VERBS",
    "Affected",
    "Answer",
    "Answered",
    "ApprovalPage",
    "Asked",
    "Bars",
    "CannotUndo",
    "Conflict",
    "Delivered",
    "Forbidden",
    "Imported",
    "Invalid",
    "KeyTaken",
    "NotFound",
    "OpenApproval",
    "OrchestratorError",
    "Plan",
    "Queue",
    "QueueAnswer",
    "QueuePlan",
    "Refused",
    "Remapped",
    "Started",
    "UnderWay",
    "act",
    "act_on_queue",
    "affected",
    "approvals_count",
    "approvals_for",
    "as_it_stands",
    "as_uuid",
    "at_misconfigured",
    "bars",
    "call_back",
    "compensation_completed",
    "definition_for",
    "deliver",
    "delivering",
    "events",
    "export",
    "import_saga",
    "latest_events",
    "make_definition",
    "missing_approvers",
    "old_sagas",
    "permission",
    "permitted",
    "personal",
    "preview",
    "preview_queue",
    "prune",
    "publish",
    "queue_named",
    "queues",
    "remap",
    "saga_deadline",
    "seen_by",
    "snapshot",
    "snapshots",
    "start",
    "start_many",
    "step_completed",
    "step_failed",
    "unanswerable",
    "unanswered",
]
