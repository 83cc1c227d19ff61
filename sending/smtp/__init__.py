"""The SMTP doors: submission for customers' programs, mx for what comes back."""
