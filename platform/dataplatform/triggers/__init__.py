"""What makes things happen: the outbox of events and its delivery."""
