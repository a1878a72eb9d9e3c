"""What happens by itself beside schedules: actions on events and conditions.

In come the outbox, audit and metadata/actions.yaml; out go messages, calls and runs. `flows/` and `cli/` call it."""
