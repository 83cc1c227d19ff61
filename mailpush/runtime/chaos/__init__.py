"""What `manage.py chaos` does: send while processes are killed, then prove what became of every message."""
