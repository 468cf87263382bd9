"""The pure core: no database, no clock, no chance but Hypothesis'."""
