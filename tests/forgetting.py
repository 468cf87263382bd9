"""What a process is sure of, and must not be when a test has another database."""

from sagas.orchestrator import pins


def forget_definitions() -> None:
    """Drop what is cached of definitions."""
    pins.definition.cache_clear()
    pins._stored.clear()
