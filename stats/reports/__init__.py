"""What the pages and the APIs tell of an account: its figures, its first steps, how it stands today."""
