"""Looking up a domain's records: what must be there, what was found, and what follows from it."""
