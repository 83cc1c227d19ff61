"""What our delivery is compared with, each from its own programs, delivering the same mail to the same sink."""
