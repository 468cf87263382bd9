"""SQLite's clock, moved: an app that SAGADESK_APPS adds."""
