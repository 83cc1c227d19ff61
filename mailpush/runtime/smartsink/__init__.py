"""The outside world of measurements and of `chaos`: mail servers that are slow, forgetful, busy and rude.

A sink that takes everything makes every number look good. This one has a server for each of several providers, at
a loopback address each (Linux has them all), that answers as the provider does, and servers whom nobody can please.
What becomes of a mail is told by how the recipient's local part begins (`fates`), by whom is told by the domain.
"""
