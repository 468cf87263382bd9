"""What a run is made of."""

from sagas.core.context import CommandInput, Meta
from sagas.core.definition import SagaDefinition
from sagas.core.progress import Progress


class Record(CommandInput):
    """What a run is made of: the saga's data, as a mapping, and where the saga stood when it was claimed."""

    def __init__(self, name: str, meta: Meta, definition: SagaDefinition, progress: Progress) -> None:
        super().__init__(name, progress.data or {}, meta)
        self.definition = definition
        self.progress = progress
