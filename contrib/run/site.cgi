#!/bin/sh
#
# site.cgi - the demo site's own script, as a site would have it in any language.
#
#   GET  site.cgi           what there is, and of which place in the log this is: {"cursor", "orders", "messages"}
#   POST site.cgi?order     the body is an item: one order of it
#   POST site.cgi?status    the body is an order's number: it is packed, then sent
#   POST site.cgi?message   the body is a name, a line end, and what that person says
#   POST site.cgi?token     the body is seconds: a token for so long, {"corner": TOPIC, "token"}; it may publish on
#                           that topic, which nobody else was given, and below
#
# Bodies are text/plain.  What it inserts and updates is told by the triggers of the tables; of Bellpush it
# knows the cursor, and how to ask for a token.  DEMO_DATABASE is a connection string.  For the demo and
# docs.html only; it trusts everybody who can reach it, and keeps the newest thousand of what they say.
set -u
PATH=/usr/local/bin:/usr/bin:/bin
export PATH PGCLIENTENCODING=UTF8 PGCONNECT_TIMEOUT=5 LC_ALL=C.UTF-8

answer() { # STATUS JSON
    printf 'Status: %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\r\n%s\n' "$1" "$2"
    exit 0
}

# Whatever the answer will be: fcgiwrap takes who does not read what was sent for broken, and says 502.
body=
case ${CONTENT_LENGTH:-} in
'' | *[!0-9]* | ????????*) ;;
?????*) head -c "$CONTENT_LENGTH" >/dev/null ;;
*) body=$(head -c "$CONTENT_LENGTH") ;;
esac

what=${QUERY_STRING:-}
case ${REQUEST_METHOD:-}:$what in
GET:)
    sql="BEGIN ISOLATION LEVEL REPEATABLE READ; -- or the cursor would be of another moment
SELECT json_build_object('cursor', bellpush.cursor(),
    'orders', (SELECT json_agg(o) FROM (SELECT * FROM demo_order ORDER BY id DESC LIMIT 50) o),
    'messages', (SELECT json_agg(m) FROM (SELECT * FROM demo_message ORDER BY id DESC LIMIT 50) m));"
    ;;
POST:order)
    rule='an item has 1 to 100 characters'
    sql="WITH one AS (INSERT INTO demo_order (item) VALUES (:'body') RETURNING *),
    old AS (DELETE FROM demo_order WHERE id <= (SELECT id FROM one) - 1000)
SELECT row_to_json(one) FROM one;"
    ;;
POST:status)
    rule='there is no such order'
    sql="UPDATE demo_order o SET status = CASE status WHEN 'new' THEN 'packed' WHEN 'packed' THEN 'sent' ELSE status END
WHERE id = :'body' RETURNING row_to_json(o);"
    ;;
POST:message)
    rule='a name has 1 to 30 characters, a message 1 to 300'
    sql="WITH one AS (INSERT INTO demo_message (name, text)
    SELECT split_part(b, E'\\n', 1), substr(b, nullif(strpos(b, E'\\n'), 0) + 1) FROM (SELECT :'body'::text) body (b) RETURNING *),
    old AS (DELETE FROM demo_message WHERE id <= (SELECT id FROM one) - 1000)
SELECT row_to_json(one) FROM one;"
    ;;
POST:token)
    rule='from 1 to 3600 seconds'
    sql="SELECT json_build_object('corner', c, 'token', bellpush.token(subscribe => ARRAY[c || '/#'], publish => ARRAY[c || '/#'],
    subject => c, ttl => make_interval(secs => least(:'body'::int, 3600))))
FROM (SELECT 'visitor/' || left(gen_random_uuid()::text, 8)) corner (c);"
    ;;
GET:* | POST:*) answer '404 Not Found' '{"error":"POST to ?order, ?status, ?message or ?token"}' ;;
*) answer '405 Method Not Allowed' '{"error":"GET, or POST text/plain"}' ;;
esac

if [ "$REQUEST_METHOD" = POST ]; then
    # A page of another site may send such a POST, too; it cannot hide that it did.  (nginx tells the host
    # without its port.)
    host=${HTTP_HOST:-}
    case ${HTTP_ORIGIN:-} in
    '' | "http://$host" | "https://$host" | "http://$host:${SERVER_PORT:-}" | "https://$host:${SERVER_PORT:-}") ;;
    *) answer '403 Forbidden' '{"error":"not from another site"}' ;;
    esac
    case ${CONTENT_LENGTH:-} in
    '' | *[!0-9]*) answer '411 Length Required' '{"error":"how long is it?"}' ;;
    ?????*) answer '413 Content Too Large' "{\"error\":\"$rule\"}" ;;
    esac
fi

# The body travels as a psql variable and is quoted by :'body', never pasted into the statement.
error=$(mktemp) || answer '500 Internal Server Error' '{"error":"no room"}'
trap 'rm -f "$error"' EXIT
if row=$(printf '%s\n' "$sql" | psql -XAtq -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate -v body="$body" "${DEMO_DATABASE:-}" 2>"$error"); then
    [ -n "$row" ] || answer '404 Not Found' "{\"error\":\"$rule\"}"
    [ "$REQUEST_METHOD" = GET ] || answer '201 Created' "$row"
    answer '200 OK' "$row"
fi
case $(cat "$error") in
*23502* | *23514* | *22P02* | *22003* | *22023*) answer '422 Unprocessable Content' "{\"error\":\"$rule\"}" ;;
*22021* | *[Mm]ultibyte* | *encoding*) answer '400 Bad Request' '{"error":"not UTF-8"}' ;;
*) answer '503 Service Unavailable' '{"error":"the database does not answer"}' ;;
esac
