"""Simplified Chinese: figures in groups of three, as in every Chinese console (Django's default is no groups)."""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
