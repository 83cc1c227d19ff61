"""The console's pages of batches and messages, and the public one behind unsubscribe links."""
