"""Random choreographies in the same world, under the same faults, with an oracle of their own."""
