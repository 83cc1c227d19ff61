"""The REST API's part of statistics."""
