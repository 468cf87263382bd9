"""Seeded bugs of the engine: what a careless engineer might do, so that the tests can show that they bite.

``SAGADESK_APPS=tests.bugs SAGADESK_BUG=NAME`` plants one of them in a process, whichever it is; nothing in
``sagas`` knows of it. ``bench/bugs --list`` names them, ``bench/bugs`` has the suite look for each.
"""
