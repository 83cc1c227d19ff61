"""The REST API's part of domains."""
