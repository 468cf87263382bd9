"""What the demos' services do, a module each: commands with an effect in the service's own books, and their undos."""
