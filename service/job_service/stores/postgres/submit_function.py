"""The function by which programs of any language submit a job, in a transaction of their own."""

from typing import Final

SUBMIT: Final = r"""
CREATE FUNCTION job_service.submit(
    type text,
    payload jsonb DEFAULT 'null',
    priority int DEFAULT 5,
    run_at timestamptz DEFAULT NULL,
    unique_key text DEFAULT NULL,
    max_retries int DEFAULT 3,
    limit_key text DEFAULT NULL,
    tags text[] DEFAULT '{}'
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    due timestamptz := greatest(run_at, moment);
    time text := lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0');
    random text := gen_random_uuid()::text;
    -- As RFC 9562 has it (version 7), so that ids sort by creation.
    new_id text := substr(time, 1, 8) || '-' || substr(time, 9, 4) || '-7'
        || substr(random, 16, 3) || substr(random, 19);
    iso text := 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';
    holder text;
BEGIN
    -- Nothing passes that a process could not read: it would be in the way of all others.
    IF submit.type IS NULL OR (priority BETWEEN 0 AND 9 AND max_retries BETWEEN 0 AND 1000)
        IS NOT true
    THEN
        RAISE 'a job needs a type, a priority from 0 to 9, and max_retries from 0 to 1000';
    ELSIF cardinality(tags) > 10 OR array_ndims(tags) > 1
        OR EXISTS (SELECT FROM unnest(tags) AS tag WHERE length(tag) BETWEEN 1 AND 64 IS NOT true)
    THEN
        RAISE 'a job may have up to 10 tags of 1 to 64 characters';
    ELSIF length(submit.limit_key) NOT BETWEEN 1 AND 255 THEN
        RAISE 'a limit key has 1 to 255 characters';
    ELSIF due > moment + interval '10 years' THEN
        RAISE 'run_at must be within the next 10 years';
    END IF;
    LOOP
        INSERT INTO job_service.jobs (id, type, status, priority, created_at, run_at, unique_key,
            limit_key, bytes, record, payload)
        VALUES (
            new_id, submit.type, 'pending', submit.priority, moment, due,
            replace(submit.unique_key, '\', '\\'), replace(submit.limit_key, '\', '\\'),
            octet_length(submit.payload::text),
            json_strip_nulls(json_build_object(
                'version', 1, 'id', new_id, 'type', submit.type, 'status', 'pending',
                'max_retries', submit.max_retries,
                'created_at', to_char(moment AT TIME ZONE 'UTC', iso),
                'run_at', to_char(due AT TIME ZONE 'UTC', iso),
                'priority', submit.priority, 'unique_key', submit.unique_key,
                'limit_key', submit.limit_key,
                'tags', to_json(submit.tags)
            ))::text,
            submit.payload::text
        )
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            INSERT INTO job_service.labels
            SELECT replace(label, '\', '\\'), new_id
            FROM (
                SELECT 'key:' || submit.unique_key WHERE submit.unique_key IS NOT NULL
                UNION
                SELECT 'tag:' || tag FROM unnest(submit.tags) AS tag
            ) AS those (label);
            PERFORM pg_notify('job_service', 'ready');
            RETURN new_id;
        END IF;
        SELECT id INTO holder FROM job_service.jobs AS jobs
        WHERE jobs.type = submit.type
            AND jobs.unique_key = replace(submit.unique_key, '\', '\\');
        IF FOUND THEN
            RETURN holder;
        END IF;  -- it has ended meanwhile, so its key is free
    END LOOP;
END $$;
"""
