#!/usr/bin/env php
<?php
/*
 * A token for Bellpush, made by the database: there is no key to keep.  Copy bellpush_token() into your
 * page; from a shell (needs php-pgsql):
 *
 *   php token_sql.php 'dbname=shop' SUBJECT FILTER...     may subscribe to these for an hour
 */

function bellpush_token($db, string $subject, array $subscribe, array $publish = [],
                        string $ttl = '1 hour'): string
{
    $result = pg_query_params($db,
        'SELECT bellpush.token(ARRAY(SELECT jsonb_array_elements_text($1)),
                               ARRAY(SELECT jsonb_array_elements_text($2)), $3, $4)',
        [json_encode($subscribe), json_encode($publish), $ttl, $subject]);
    if (!$result)
        throw new RuntimeException(pg_last_error($db));
    return pg_fetch_result($result, 0, 0);
}

if (PHP_SAPI === 'cli' && realpath($argv[0]) === __FILE__) {
    if ($argc < 4) {
        fwrite(STDERR, "usage: token_sql.php DATABASE SUBJECT FILTER...\n");
        exit(2);
    }
    echo bellpush_token(pg_connect($argv[1]), $argv[2], array_slice($argv, 3)), "\n";
}
