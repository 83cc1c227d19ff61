"""Event webhooks (Standard Webhooks): what happened is read from rows, gathered into calls, and delivered.

`sources` says where events are read, `reading` turns them into calls, `signing` signs, `outbound` reaches addresses
of the public internet alone, `running` works the queue of calls.
"""
