"""The shop of a chaos run, an app that SAGADESK_APPS adds: sagas of several shapes, whose effects are in the ledger."""
