"""The desk: pages that read the rows, and hand an operator's verbs to the orchestrator."""
