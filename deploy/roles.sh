#!/bin/sh
# Runs at every start, changes nothing that is right already: Prefect's own database and role; `bi`, which reads gold and nothing else.
set -eu
psql -q -v ON_ERROR_STOP=1 -v prefect="$PREFECT_DB_PASSWORD" -v bi="$BI_PASSWORD" <<'SQL'
select format('create role %I login', name) from unnest(array['prefect', 'bi']) name
where not exists (select from pg_roles where rolname = name) \gexec
alter role prefect password :'prefect';
alter role bi password :'bi';
select 'create database prefect owner prefect' where not exists (select from pg_database where datname = 'prefect') \gexec
alter database prefect owner to prefect;
revoke connect on database prefect from public;
revoke connect on database dataplatform from public;
grant connect on database dataplatform to bi;
create schema if not exists gold;
grant usage on schema gold to bi;
grant select on all tables in schema gold to bi;
alter default privileges in schema gold grant select on tables to bi;
\connect prefect
create extension if not exists pg_trgm;
-- of an older release: made by the platform's role
select format('alter table %s owner to prefect', oid::regclass) from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm') and relowner <> 'prefect'::regrole \gexec
select format('alter type %s owner to prefect', oid::regtype) from pg_type
where typnamespace = 'public'::regnamespace and typtype = 'e' and typowner <> 'prefect'::regrole \gexec
select format('alter function %s owner to prefect', oid::regprocedure) from pg_proc p
where pronamespace = 'public'::regnamespace and proowner <> 'prefect'::regrole
and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e') \gexec
alter schema public owner to prefect;
SQL
