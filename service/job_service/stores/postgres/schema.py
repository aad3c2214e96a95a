"""The tables, their version, and how an older database is brought up to date.

All is in the schema `job_service`. Jobs that have not ended are in `jobs`, and all others in
`finished`, so that a claim costs the same however many are kept. `counts` has how many there are,
by type and status: each connection adds to a stripe of its own, so no two wait for each other.
"""

from collections.abc import Sequence
from typing import Final

from job_service.errors import StoreRefused
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.submit_function import SUBMIT

_LOCK: Final = 0x6A6F6273  # "jobs", of whoever migrates

_FIRST: Final = r"""
CREATE SCHEMA IF NOT EXISTS job_service;
CREATE TABLE job_service.version (number int NOT NULL);
INSERT INTO job_service.version VALUES (0);

CREATE TABLE job_service.jobs (
    id text COLLATE "C" PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    status text NOT NULL,
    priority smallint NOT NULL,
    created_at timestamptz NOT NULL,
    run_at timestamptz NOT NULL,
    unique_key text,
    limit_key text COLLATE "C",
    awaits int NOT NULL DEFAULT 0,
    is_awaited boolean NOT NULL DEFAULT false,
    node uuid,
    rescues int NOT NULL DEFAULT 0,
    cancel_reason text,
    cancel_by text,
    edit text,
    bytes int NOT NULL,
    record text NOT NULL,
    error text,
    payload text NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX jobs_to_claim ON job_service.jobs (type, priority, run_at, id)
    WHERE node IS NULL AND awaits = 0 AND limit_key IS NULL;
CREATE INDEX jobs_in_turn ON job_service.jobs (type, priority, limit_key, run_at, id)
    WHERE node IS NULL AND awaits = 0 AND limit_key IS NOT NULL;
CREATE INDEX jobs_by_node ON job_service.jobs (node, type) WHERE node IS NOT NULL;
CREATE INDEX jobs_by_type ON job_service.jobs (type, id);
CREATE UNIQUE INDEX jobs_by_key ON job_service.jobs (type, unique_key)
    WHERE unique_key IS NOT NULL;
CREATE INDEX jobs_to_call_off ON job_service.jobs (node) WHERE cancel_reason IS NOT NULL;
CREATE INDEX jobs_to_edit ON job_service.jobs (node) WHERE edit IS NOT NULL;

CREATE TABLE job_service.finished (
    id text COLLATE "C" PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    status text NOT NULL,
    priority smallint NOT NULL,
    created_at timestamptz NOT NULL,
    run_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    record text NOT NULL,
    error text,
    payload text NOT NULL,
    result text,
    bytes int NOT NULL DEFAULT 0
);
CREATE INDEX finished_by_status ON job_service.finished (type, status, id);
CREATE INDEX finished_by_end ON job_service.finished (finished_at, id);

CREATE TABLE job_service.labels (
    label text COLLATE "C", id text COLLATE "C", PRIMARY KEY (label, id)
);
CREATE INDEX labels_by_job ON job_service.labels (id);

CREATE TABLE job_service.groups (
    id text COLLATE "C" PRIMARY KEY,
    jobs int NOT NULL,
    completed int NOT NULL DEFAULT 0,
    failed int NOT NULL DEFAULT 0,
    cancelled int NOT NULL DEFAULT 0,
    ended_at timestamptz,
    callback_id text,
    definition text NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX groups_by_end ON job_service.groups (ended_at, id) WHERE ended_at IS NOT NULL;

CREATE TABLE job_service.edges (
    predecessor text COLLATE "C", successor text COLLATE "C",
    PRIMARY KEY (predecessor, successor)
);
CREATE INDEX edges_by_successor ON job_service.edges (successor);

CREATE TABLE job_service.keys (
    key text PRIMARY KEY, asked bytea NOT NULL, until timestamptz NOT NULL, jobs text NOT NULL
);
CREATE INDEX keys_by_age ON job_service.keys (until);
CREATE TABLE job_service.keyed_jobs (
    job_id text PRIMARY KEY, until timestamptz NOT NULL, status text, finished_at timestamptz
);
CREATE INDEX keyed_jobs_by_age ON job_service.keyed_jobs (until);
CREATE TABLE job_service.pauses (job_type text PRIMARY KEY);
CREATE TABLE job_service.schedules (
    schedule text PRIMARY KEY,
    ticked_at timestamptz,
    last_run_at timestamptz,
    last_job_id text,
    paused_since timestamptz,
    paused_by text,
    resumed_at timestamptz
);

CREATE TABLE job_service.last_turns (
    type text COLLATE "C", priority smallint, limit_key text COLLATE "C" NOT NULL,
    PRIMARY KEY (type, priority)
) WITH (fillfactor = 50);
CREATE TABLE job_service.starts (
    job_id text COLLATE "C",
    attempt int,
    type text COLLATE "C" NOT NULL,
    limit_key text COLLATE "C",
    until timestamptz NOT NULL,
    PRIMARY KEY (job_id, attempt)
);
CREATE INDEX starts_by_type ON job_service.starts (type, until);

CREATE TABLE job_service.nodes (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    pid int NOT NULL,
    version text NOT NULL,
    job_types text[] NOT NULL DEFAULT '{}',
    starts_per_second jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The last transaction of each node that has committed; it outlives the node.
CREATE TABLE job_service.transactions (
    node uuid PRIMARY KEY,
    number bigint NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE job_service.counts (
    stripe int, type text COLLATE "C", status text,
    jobs bigint NOT NULL, bytes bigint NOT NULL,
    PRIMARY KEY (stripe, type, status)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE FUNCTION job_service.count_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO job_service.counts AS kept
        SELECT pg_backend_pid(), type, status, count(*), sum(bytes) FROM new_rows
        GROUP BY type, status ORDER BY type, status
        ON CONFLICT (stripe, type, status) DO UPDATE
            SET jobs = kept.jobs + excluded.jobs, bytes = kept.bytes + excluded.bytes;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO job_service.counts AS kept
        SELECT pg_backend_pid(), type, status, -count(*), -sum(bytes) FROM old_rows
        GROUP BY type, status ORDER BY type, status
        ON CONFLICT (stripe, type, status) DO UPDATE
            SET jobs = kept.jobs + excluded.jobs, bytes = kept.bytes + excluded.bytes;
    ELSE
        INSERT INTO job_service.counts AS kept
        SELECT pg_backend_pid(), type, status, sum(jobs), sum(bytes) FROM (
            SELECT type, status, 1 AS jobs, bytes FROM new_rows
            UNION ALL
            SELECT type, status, -1, -bytes FROM old_rows
        ) AS moves
        GROUP BY type, status HAVING sum(jobs) <> 0 OR sum(bytes) <> 0 ORDER BY type, status
        ON CONFLICT (stripe, type, status) DO UPDATE
            SET jobs = kept.jobs + excluded.jobs, bytes = kept.bytes + excluded.bytes;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_come AFTER INSERT ON job_service.jobs REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION job_service.count_jobs();
CREATE TRIGGER jobs_move AFTER UPDATE ON job_service.jobs
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION job_service.count_jobs();
CREATE TRIGGER jobs_go AFTER DELETE ON job_service.jobs REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION job_service.count_jobs();
CREATE TRIGGER finished_come AFTER INSERT ON job_service.finished REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION job_service.count_jobs();
CREATE TRIGGER finished_go AFTER DELETE ON job_service.finished REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION job_service.count_jobs();
"""

# Each takes a database from the version that is its place here to the next one. As long as none
# was released, the first one is changed in its place.
MIGRATIONS: Final = (_FIRST + SUBMIT,)

VERSION: Final = len(MIGRATIONS)
_SET_VERSION: Final = f"UPDATE job_service.version SET number = {VERSION};"


async def plan(connection: Connection) -> Sequence[str]:
    """The SQL that brings the database to this version, in its order; nothing if it is there.

    Raises StoreRefused if it is of a newer one, and psycopg.Error.
    """
    steps = MIGRATIONS[await version_of(connection) :]
    return [*steps, _SET_VERSION] if steps else ()


async def migrate(connection: Connection) -> int:
    """Bring the database to this version in one transaction, while no other process does.

    Returns the version that it had, 0 if it is new. Raises StoreRefused if it is of a newer one,
    which is left as it is, and psycopg.Error.
    """
    await connection.begin()
    try:
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        before = await version_of(connection)
        for step in MIGRATIONS[before:]:
            await connection.execute(step)
        if before < VERSION:
            await connection.execute(_SET_VERSION)
    except BaseException:
        await connection.execute("ROLLBACK")
        raise
    await connection.execute("COMMIT")
    return before


async def version_of(connection: Connection) -> int:
    """The version of the tables, 0 if there are none. Raises StoreRefused if it is a newer one."""
    found = await (
        await connection.execute("SELECT to_regclass('job_service.version')::text")
    ).fetchone()
    if found is None or found[0] is None:
        return 0
    row = await (await connection.execute("SELECT number FROM job_service.version")).fetchone()
    version = 0 if row is None else int(row[0])
    if version > VERSION:
        raise StoreRefused(
            f"the database has version {version} of the tables, and this program knows {VERSION}: "
            "run the newer program"
        )
    return version
