"""The REST API's part of templates."""
