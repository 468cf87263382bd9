"""Chaos: real processes under load, a nemesis that breaks them, and a checker that shares no code with the engine.

``world`` runs the processes, ``faults`` breaks them, ``starters``, ``bots`` and ``sockets`` use them, ``ledger``
is the oracle, ``checker`` reads what is left. Each writes what it did to a journal of its own.
"""
