"""The REST API's part of senders: sender addresses and tags."""
