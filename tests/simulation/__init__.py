"""Sagas simulated in memory: a world full of faults around the pure core, and an oracle that believes nothing.

Hypothesis drives it in ``tests/core``, chance from a seed in ``bench/simulate``.
"""
