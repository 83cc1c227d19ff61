"""Small Django-side helpers; they import no app."""
