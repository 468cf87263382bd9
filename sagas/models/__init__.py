"""The rows: sagas, their steps and events, the work that is due, and what operators did.

Saga and step rows are a projection of the saga's events, and due rows follow from them.
Only the orchestrator writes them; the engine writes the lease columns of due rows.
"""

from sagas.models.action import OperatorAction as OperatorAction
from sagas.models.alert import Alert as Alert
from sagas.models.alert import Notice as Notice
from sagas.models.alert import Watch as Watch
from sagas.models.batch import Batch as Batch
from sagas.models.batch import BatchItem as BatchItem
from sagas.models.child import Child as Child
from sagas.models.definition import Definition as Definition
from sagas.models.drill import Drill as Drill
from sagas.models.due import Due as Due
from sagas.models.event import Event as Event
from sagas.models.pause import PausedQueue as PausedQueue
from sagas.models.process import Process as Process
from sagas.models.reply import Callback as Callback
from sagas.models.reply import LateReply as LateReply
from sagas.models.saga import CHILD as CHILD
from sagas.models.saga import IMPORT as IMPORT
from sagas.models.saga import REPAIR as REPAIR
from sagas.models.saga import RESTART as RESTART
from sagas.models.saga import UNDO as UNDO
from sagas.models.saga import Saga as Saga
from sagas.models.saga import SagaQuerySet as SagaQuerySet
from sagas.models.schedule import Schedule as Schedule
from sagas.models.step import Step as Step
from sagas.models.token import Token as Token
