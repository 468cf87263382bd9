"""Who wakes whom: what asks for a person is seen here, kept until it is over, and told outside the desk.

What is told names steps, types, queues and counts, and nothing that a saga carries.
"""

from sagas.alerts.channels import Untold as Untold
from sagas.alerts.conditions import key_of as key_of
from sagas.alerts.documents import alert_detail as alert_detail
from sagas.alerts.documents import alert_documents as alert_documents
from sagas.alerts.documents import alert_path as alert_path
from sagas.alerts.looking import look as look
from sagas.alerts.telling import failing as failing
from sagas.alerts.telling import sending as sending
from sagas.alerts.telling import tell as tell
from sagas.alerts.telling import try_out as try_out
from sagas.alerts.watching import Watching as Watching
