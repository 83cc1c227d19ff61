"""The delivery engine: lanes take due chunks, the courier talks SMTP, the ledger records what came of it."""
