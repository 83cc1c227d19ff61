"""The DirectMail-compatible API: DirectMail's own protocol, so that its official SDKs work unchanged.

An adapter: it reads the protocol, calls the services of the apps, and writes their answers the way DirectMail does.
"""
