"""How trials are scheduled: the programs a user runs and what they are made of."""
