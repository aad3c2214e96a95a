"""Reads pages of jobs at the cost of what is on them, however many jobs are kept.

The index has the jobs of one status and one type in the order of their ids. So a page begins with
a range of each pair of those that it may show, of which no more than a page is read.
"""

from typing import Final

# The ids of a page of all jobs.
ALL: Final = """
    SELECT id FROM jobs WHERE id {sign} :after ORDER BY id {order} LIMIT :limit
"""

# The ids of a page of these pairs of a status and a type.
OF_PAIRS: Final = """
    SELECT found.value
    FROM
        json_each(:pairs) AS pair,
        json_each((
            SELECT json_group_array(id) FROM (
                SELECT id FROM jobs
                WHERE status = pair.value ->> 0 AND type = pair.value ->> 1 AND id {sign} :after
                ORDER BY id {order} LIMIT :limit
            )
        )) AS found
    ORDER BY found.value {order} LIMIT :limit
"""

# The types that have jobs of a status, by a search for each.
TYPES: Final = """
    WITH RECURSIVE types (type) AS (
        SELECT min(type) FROM jobs WHERE status = :status
        UNION ALL
        SELECT (SELECT min(type) FROM jobs WHERE status = :status AND type > types.type)
        FROM types WHERE types.type IS NOT NULL
    )
    SELECT json_group_array(type) FROM types WHERE type IS NOT NULL
"""
