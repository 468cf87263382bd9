"""An app that a test adds to its processes: SQLite's file may not grow beyond so many pages."""
