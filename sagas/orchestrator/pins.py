"""Pinned definitions: each is stored once, by its digest, and read once per process."""

from functools import lru_cache

from django.db import transaction

from sagas.core.definition import SagaDefinition
from sagas.models import Definition


@lru_cache(maxsize=1024)
def definition(digest: str) -> SagaDefinition:
    """Return a pinned definition; read once per process."""
    return SagaDefinition.from_document(Definition.objects.values_list("document", flat=True).get(pk=digest))


#: Digests that are known to be stored, and committed.
_stored: set[str] = set()


def pin(pinned: SagaDefinition) -> None:
    """Store a definition, once."""
    digest = pinned.digest
    if digest not in _stored:
        row = Definition(digest=digest, saga_type=pinned.saga_type, document=pinned.document())
        Definition.objects.bulk_create([row], ignore_conflicts=True)
        # Only once it is committed: the caller may yet roll back.
        transaction.on_commit(lambda: _stored.add(digest))


def forget_definitions() -> None:
    """Drop what is cached of definitions; for tests, whose databases forget them."""
    definition.cache_clear()
    _stored.clear()
