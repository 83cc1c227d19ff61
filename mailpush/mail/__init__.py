"""Mail protocol code: pure, without Django."""
