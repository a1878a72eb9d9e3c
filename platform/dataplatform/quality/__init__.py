"""Quality checks: of records on their way into silver (records), of whole tables (tables)."""
