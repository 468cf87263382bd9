"""The pure core: definitions, messages, events, and the machine that ties them. No Django, no clock, no chance."""
