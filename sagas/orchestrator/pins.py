"""Pinned definitions: each is stored once, by its digest, and read once per process."""

import threading
import time
from datetime import timedelta
from functools import lru_cache

from django.db import transaction
from django.db.models.functions import Now

from sagas.core.definition import SagaDefinition
from sagas.models import Definition

#: Seconds for which a process is sure that a definition is stored. Pruning spares what was made sure of
#: within a much longer time, so nobody starts a saga with a definition that has gone.
SURE = 3600.0


@lru_cache(maxsize=1024)
def definition(digest: str) -> SagaDefinition:
    """Return a pinned definition; read once per process."""
    return SagaDefinition.from_document(Definition.objects.values_list("document", flat=True).get(pk=digest))


#: So many definitions a process is sure of. A type whose steps depend on its data may have one for each saga; of one
#: that is forgotten it is made sure again.
REMEMBERED = 4096
#: Digest -> until when, by our own clock, it is known to be stored, and committed. The latest stand last.
_stored: dict[str, float] = {}
_lock = threading.Lock()


def pin(pinned: SagaDefinition) -> None:
    """Store a definition, once."""
    digest = pinned.digest
    if time.monotonic() > _stored.get(digest, 0.0):
        # In this order: a row that has lately been made sure of is locked for nobody, and is not removed either.
        stale = Definition.objects.filter(pk=digest, used_at__lt=Now() - timedelta(seconds=SURE))
        if not stale.update(used_at=Now()):
            row = Definition(digest=digest, saga_type=pinned.saga_type, document=pinned.document())
            Definition.objects.bulk_create([row], ignore_conflicts=True)
        # Only once it is committed: the caller may yet roll back.
        until = time.monotonic() + SURE
        transaction.on_commit(lambda: _remember(digest, until))


def _remember(digest: str, until: float) -> None:
    with _lock:
        _stored.pop(digest, None)
        _stored[digest] = until
        if len(_stored) > REMEMBERED:
            del _stored[next(iter(_stored))]
