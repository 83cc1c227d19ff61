"""The REST API's part of sending: messages, batches, webhooks."""
