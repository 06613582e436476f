#!/usr/bin/python3
"""A token for Bellpush, made by the database: there is no key to keep.  Needs python3-psycopg2.

    python3 token_sql.py 'dbname=shop' SUBJECT FILTER...     may subscribe to these for an hour
"""
import sys

import psycopg2


def bellpush_token(connection, subject, subscribe, publish=(), ttl="1 hour"):
    with connection.cursor() as cursor:
        cursor.execute("SELECT bellpush.token(%s::text[], %s::text[], %s, %s)",
                       (list(subscribe), list(publish), ttl, subject))
        return cursor.fetchone()[0]


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: token_sql.py DATABASE SUBJECT FILTER...")
    print(bellpush_token(psycopg2.connect(sys.argv[1]), sys.argv[2], sys.argv[3:]))
