#!/bin/sh
# Runs once, when the Postgres volume is new: Prefect's own database.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" -c 'create database prefect'
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname prefect -c 'create extension if not exists pg_trgm'
