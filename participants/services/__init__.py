"""What the demos' services do, a module each: commands with an effect in the service's own books, and their undos.

The row that everybody wants, of a product, an account or a flight, is written last: who has it keeps the others
waiting until its transaction ends. A refusal that is found only then takes back what was written before.
"""
