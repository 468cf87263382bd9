"""The verbs: start, deliver, retry, compensate and the rest.

The only writer of saga state. It knows neither RQ nor Channels: it records due work, and sends a signal.
"""

from sagas.orchestrator.actions import act, preview, who_moved
from sagas.orchestrator.alerting import (
    ALERT_PERMISSION,
    GIVEN_BACK,
    act_on_alert,
    alert_numbered,
    preview_alert,
)
from sagas.orchestrator.approvals import (
    Bars,
    approvals_count,
    approvals_for,
    bars,
    missing_approvers,
    unanswered,
)
from sagas.orchestrator.asked import (
    ALERT_VERBS,
    BATCH_VERBS,
    LONGEST_REASON,
    QUEUE_VERBS,
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
from sagas.orchestrator.batch_plan import (
    BATCH_PERMISSION,
    BATCHED,
    LARGEST,
    BatchPlan,
    Course,
    preview_batch,
)
from sagas.orchestrator.batching import (
    MOST_UNDER_WAY,
    BatchAnswer,
    act_on_batch,
    batch_documents,
    batch_numbered,
    batch_verbs,
    boundary,
    counts,
    item_document,
    orphaned,
    preview_batch_verb,
    start_batch,
)
from sagas.orchestrator.bus import delivering, publish
from sagas.orchestrator.callbacks import call_back
from sagas.orchestrator.each import Outcome, about_its_step, act_on_each, asking_steps, steps_for
from sagas.orchestrator.exporting import export
from sagas.orchestrator.importing import import_saga
from sagas.orchestrator.needing import GROUPED, Group, attention_groups, attention_text
from sagas.orchestrator.operators import SEE, check_operator, permission
from sagas.orchestrator.pausing import (
    QUEUE_PERMISSION,
    QueuePlan,
    act_on_queue,
    preview_queue,
)
from sagas.orchestrator.personal import permitted, personal, seen_by
from sagas.orchestrator.queues import Queue, queues
from sagas.orchestrator.remapping import Affected, affected, at_misconfigured, remap
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
    as_it_stands,
    sample_definition,
    start,
    start_many,
)
from sagas.orchestrator.trail import DEEDS

__all__ = [
    "ALERT_PERMISSION",
    "ALERT_VERBS",
    "BATCHED",
    "BATCH_PERMISSION",
    "BATCH_VERBS",
    "DEEDS",
    "GIVEN_BACK",
    "GROUPED",
    "LARGEST",
    "LONGEST_REASON",
    "MOST_UNDER_WAY",
    "QUEUE_PERMISSION",
    "QUEUE_VERBS",
    "SEE",
    "STEP_VERBS",
    "VERBS",
    "Affected",
    "Answer",
    "Answered",
    "Asked",
    "Bars",
    "BatchAnswer",
    "BatchPlan",
    "Conflict",
    "Course",
    "Delivered",
    "Forbidden",
    "Group",
    "Invalid",
    "KeyTaken",
    "NotFound",
    "OrchestratorError",
    "Outcome",
    "Plan",
    "Queue",
    "QueuePlan",
    "Refused",
    "about_its_step",
    "act",
    "act_on_alert",
    "act_on_batch",
    "act_on_each",
    "act_on_queue",
    "affected",
    "alert_numbered",
    "approvals_count",
    "approvals_for",
    "as_it_stands",
    "as_uuid",
    "asking_steps",
    "at_misconfigured",
    "attention_groups",
    "attention_text",
    "bars",
    "batch_documents",
    "batch_numbered",
    "batch_verbs",
    "boundary",
    "call_back",
    "check_operator",
    "compensation_completed",
    "counts",
    "deliver",
    "delivering",
    "events",
    "export",
    "import_saga",
    "item_document",
    "latest_events",
    "missing_approvers",
    "old_sagas",
    "orphaned",
    "permission",
    "permitted",
    "personal",
    "preview",
    "preview_alert",
    "preview_batch",
    "preview_batch_verb",
    "preview_queue",
    "prune",
    "publish",
    "queues",
    "remap",
    "sample_definition",
    "seen_by",
    "snapshot",
    "snapshots",
    "start",
    "start_batch",
    "start_many",
    "step_completed",
    "step_failed",
    "steps_for",
    "unanswered",
    "who_moved",
]
