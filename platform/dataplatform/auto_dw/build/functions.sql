-- The verbs of auto_dw as SQL functions. They write a request through dblink (a transaction of its own, so that
-- the worker sees it), wake the worker by NOTIFY, and return its rows. `dataplatform auto-dw install` runs this file.
create extension if not exists dblink;

create or replace function auto_dw._schema(name text) returns text language sql stable as $$
    select coalesce(name, nullif(current_setting('auto_dw.schema', true), ''), 'silver')
$$;

create or replace function auto_dw._ask(verb text, arguments jsonb, patience interval default '10 minutes')
returns jsonb language plpgsql volatile as $$
declare
    place text := format('dbname=%L host=%L port=%s user=%L', current_database(),
        coalesce(nullif(split_part(current_setting('unix_socket_directories'), ',', 1), ''), 'localhost'),
        current_setting('port'), session_user);
    asked bigint;
    reply record;
    until timestamptz := clock_timestamp() + patience;
begin
    if not exists (select from pg_locks where locktype = 'advisory' and classid = 0 and objid = {LOCK} and granted
                   and database = (select oid from pg_database where datname = current_database())) then
        raise exception 'no worker of auto_dw listens'
            using hint = 'start one: dataplatform auto-dw work   (or: dataplatform up)';
    end if;
    select id into asked from dblink(place, format(
        'insert into auto_dw.request (verb, arguments, status) values (%L, %L, ''waiting'') returning id',
        verb, arguments)) as t(id bigint);
    perform dblink_exec(place, format('notify auto_dw, %L', asked));
    loop
        select r.status, r.result, r.error into reply from auto_dw.request r where r.id = asked;
        if reply.status = 'done' then return reply.result; end if;
        if reply.status = 'failed' then raise exception '%', reply.error; end if;
        if clock_timestamp() > until then
            raise exception 'the worker of auto_dw has not answered request % within %', asked, patience;
        end if;
        perform pg_sleep(0.1);
    end loop;
end $$;

create or replace function auto_dw.evaluate(table_name text default null, schema_name text default null)
returns table ("table" text, role text, confidence float, status text, primary_key text[], grain text, advice text)
language sql volatile as $$
    select t.key, t.value->>'role', (t.value->>'confidence')::float, t.value->>'status',
           array(select jsonb_array_elements_text(t.value->'primary_key')), t.value->>'grain', t.value->>'advice'
    from jsonb_each(auto_dw._ask('evaluate', jsonb_build_object('schema', auto_dw._schema(schema_name),
                                                               'table', table_name))->'tables') t
    order by t.key
$$;

create or replace function auto_dw.source_table(schema_name text default null)
returns table ("table" text, role text, confidence float, status text, primary_key text[], evidence text[])
language sql volatile as $$
    select t.key, t.value->>'role', (t.value->>'confidence')::float, t.value->>'status',
           array(select jsonb_array_elements_text(t.value->'primary_key')),
           array(select jsonb_array_elements_text(t.value->'evidence'))
    from jsonb_each(auto_dw._ask('evaluate', jsonb_build_object('schema', auto_dw._schema(schema_name)))->'tables') t
    order by t.key
$$;

create or replace function auto_dw.source_column(schema_name text default null)
returns table ("table" text, "column" text, role text, confidence float, status text, sensitive boolean,
               evidence text[], advice text)
language sql volatile as $$
    select t.key, c.key, c.value->>'role', (c.value->>'confidence')::float, c.value->>'status',
           (c.value->>'sensitive')::boolean, array(select jsonb_array_elements_text(c.value->'evidence')),
           c.value->>'advice'
    from jsonb_each(auto_dw._ask('evaluate', jsonb_build_object('schema', auto_dw._schema(schema_name)))->'tables') t,
         jsonb_each(t.value->'columns') c
    order by t.key, c.key
$$;

create or replace function auto_dw.plan(schema_name text default null)
returns table (model text, change text, kind text, source text, columns text[], rows bigint)
language sql volatile as $$
    with answer as (select auto_dw._ask('plan', jsonb_build_object('schema', auto_dw._schema(schema_name))) a),
    changes as (select m.value as model, c.key as change from answer, jsonb_each(a->'models') c,
                       jsonb_array_elements_text(c.value) m where c.key <> 'kept')
    select c.model, c.change, a->'tables'->c.model->>'kind', a->'tables'->c.model->>'source',
           array(select jsonb_array_elements_text(coalesce(a->'tables'->c.model->'columns', '[]'))),
           (a->'tables'->c.model->>'rows')::bigint
    from answer, changes c order by c.model
$$;

create or replace function auto_dw.go(schema_name text default null)
returns table (build bigint, model text, rows bigint) language sql volatile as $$
    with answer as (select auto_dw._ask('go', jsonb_build_object('schema', auto_dw._schema(schema_name))) a)
    select (a->>'build')::bigint, m.key, (m.value->>'rows')::bigint
    from answer left join lateral jsonb_each(a->'models') m on true order by m.key
$$;

create or replace function auto_dw.omit(tables text[], schema_name text default null)
returns table (omitted text) language sql volatile as $$
    select jsonb_array_elements_text(auto_dw._ask('omit', jsonb_build_object(
        'schema', auto_dw._schema(schema_name), 'tables', to_jsonb(tables)))->'omit')
$$;

create or replace function auto_dw.include(tables text[], schema_name text default null)
returns table (omitted text) language sql volatile as $$
    select jsonb_array_elements_text(auto_dw._ask('include', jsonb_build_object(
        'schema', auto_dw._schema(schema_name), 'tables', to_jsonb(tables)))->'omit')
$$;

create or replace function auto_dw.status()
returns table (build bigint, schema text, style text, status text, created_at timestamptz)
language sql volatile as $$
    select (b->>'id')::bigint, b->>'schema', b->>'style', b->>'status', (b->>'created_at')::timestamptz
    from jsonb_array_elements(auto_dw._ask('status', '{}')->'builds') b
$$;

create or replace function auto_dw.health(schema_name text default null)
returns table (model text, same boolean, rows bigint, source_rows bigint) language sql volatile as $$
    select r->>'model', (r->>'same')::boolean, (r->>'rows')::bigint, (r->>'source_rows')::bigint
    from jsonb_array_elements(auto_dw._ask('health', jsonb_build_object(
        'schema', auto_dw._schema(schema_name)))->'reconciliation') r
$$;
