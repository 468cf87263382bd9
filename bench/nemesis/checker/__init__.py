"""The checker: a process that reads database, ledger and journals when all is over, and knows nothing of the engine.

It shares no line with ``sagas``: what a saga's events mean is written here once more, from the design's words.
"""
