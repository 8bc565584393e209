"""What an evidence file carries besides the ledger: a verifier that needs nothing."""
