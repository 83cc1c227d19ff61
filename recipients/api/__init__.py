"""The REST API's part of recipients: lists, what is on them, uploads, suppressions."""
