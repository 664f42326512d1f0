-- What the template of the tests' databases gets when all migrations have run. Each function names every table in its
-- text, so PostgreSQL plans it once a connection, and what every test asks for costs next to nothing.

DROP SCHEMA IF EXISTS baseline CASCADE;
CREATE SCHEMA baseline;
GRANT USAGE ON SCHEMA baseline TO quillkeep_owner;
CREATE FUNCTION baseline.columns_of(name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
    WHERE attrelid = format('public.%I', name)::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
$$;

-- `reset` empties the tables that hold rows, and puts the migrations' rows back where they are gone or changed. Replica
-- mode switches off the triggers, also those that keep the log append-only, and foreign keys; DELETE is quicker than
-- TRUNCATE for a handful of rows. Processes keep snapshots by generation. If a reset took a generation back to a number
-- that it had before, a snapshot of the test before would be taken for a fresh one: so generations go on.
--
-- `versions` tells for each table where its rows lie and which transactions wrote them: another text after any write.
DO $$
DECLARE
    name text; filled boolean; differs text; again text;
    resets text := ''; versions text[] := '{}';
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
        differs := format('SELECT FROM public.%I', name);
        again := '';
        IF filled THEN
            EXECUTE format('CREATE TABLE baseline.%I AS TABLE public.%I', name, name);
            differs := format(
                '(SELECT t::text FROM public.%1$I t EXCEPT ALL SELECT t::text FROM baseline.%1$I t) UNION ALL
                 (SELECT t::text FROM baseline.%1$I t EXCEPT ALL SELECT t::text FROM public.%1$I t)',
                name
            );
            again := format(
                'INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM baseline.%1$I;',
                name, baseline.columns_of(name)
            );
        END IF;
        resets := resets || format('IF EXISTS (%s) THEN DELETE FROM public.%I; %s END IF;', differs, name, again);
        versions := versions || format(
            'SELECT %L::text, coalesce(string_agg(t.ctid || '' '' || t.xmin, '',''), '''') FROM public.%I t',
            name, name
        );
    END LOOP;
    EXECUTE format(
        'CREATE FUNCTION baseline.reset(generation bigint) RETURNS void LANGUAGE plpgsql
         SET session_replication_role = replica SET lock_timeout = ''10s'' AS %L',  -- fails where a lock was left
        'BEGIN ' || resets || '
             INSERT INTO public.accounts_generation (name, value)
             SELECT unnest(ARRAY[''access'', ''keys'', ''schema'']), 0 ON CONFLICT DO NOTHING;
             UPDATE public.accounts_generation SET value = generation;
         END'
    );
    EXECUTE format(
        'CREATE FUNCTION baseline.versions() RETURNS TABLE (name text, version text) LANGUAGE plpgsql AS %L',
        'BEGIN RETURN QUERY ' || array_to_string(versions, ' UNION ALL ') || '; END'
    );
END $$;

-- `keep` copies what a test has arranged into a schema of that name, with a function `bring` that puts it in place of what
-- a reset leaves.
CREATE FUNCTION baseline.keep(world text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    name text; filled boolean; brings text := '';
BEGIN
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', world);
    EXECUTE format('CREATE SCHEMA %I', world);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO quillkeep_owner', world);
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
        AND tablename NOT IN ('auth_permission', 'django_content_type', 'django_migrations')  -- only migrations write them
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
        IF filled THEN
            EXECUTE format('CREATE TABLE %I.%I AS TABLE public.%I', world, name, name);
            brings := brings || format(
                'DELETE FROM public.%1$I;
                 INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %3$I.%1$I;',
                name, baseline.columns_of(name), world
            );
        END IF;
    END LOOP;
    EXECUTE format(
        'CREATE FUNCTION %I.bring() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
         SET session_replication_role = replica AS %L', world,
        'DECLARE next bigint;
         BEGIN
             SELECT max(value) + 1 INTO next FROM public.accounts_generation;
             ' || brings || '
             UPDATE public.accounts_generation SET value = next;
         END'
    );
END $$;
