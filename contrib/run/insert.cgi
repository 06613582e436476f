#!/bin/sh
#
# insert.cgi - POST text/plain: one order of that item, as any script of a site would insert it.
#
# It has never heard of Bellpush: the trigger on the table rings.  DEMO_DATABASE is a connection
# string.  For the demo page only; it trusts everybody who can reach it.
set -u
PATH=/usr/local/bin:/usr/bin:/bin
export PATH PGCLIENTENCODING=UTF8 PGCONNECT_TIMEOUT=5 LC_ALL=C.UTF-8

answer() { # STATUS JSON
    printf 'Status: %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\r\n%s\n' "$1" "$2"
    exit 0
}

[ "${REQUEST_METHOD:-}" = POST ] || answer '405 Method Not Allowed' '{"error":"POST the item as text/plain"}'
# A page of another site may send such a POST, too; it cannot hide that it did.  (nginx tells the host
# without its port.)
host=${HTTP_HOST:-}
case ${HTTP_ORIGIN:-} in
'' | "http://$host" | "https://$host" | "http://$host:${SERVER_PORT:-}" | "https://$host:${SERVER_PORT:-}") ;;
*) answer '403 Forbidden' '{"error":"not from another site"}' ;;
esac
case ${CONTENT_LENGTH:-} in
'' | *[!0-9]*) answer '411 Length Required' '{"error":"how long is it?"}' ;;
????*) answer '413 Content Too Large' '{"error":"an item has at most 100 characters"}' ;;
esac

# The value travels as a psql variable and is quoted by :'item', never pasted into the statement.
item=$(head -c "$CONTENT_LENGTH")
error=$(mktemp) || answer '500 Internal Server Error' '{"error":"no room"}'
trap 'rm -f "$error"' EXIT
if row=$(psql -XAtq -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate -v item="$item" "${DEMO_DATABASE:-}" 2>"$error" <<'SQL'
INSERT INTO demo_order (item) VALUES (:'item') RETURNING json_build_object('id', id, 'item', item);
SQL
); then
    answer '201 Created' "$row"
fi
case $(cat "$error") in
*23514*) answer '422 Unprocessable Content' '{"error":"an item has 1 to 100 characters"}' ;;
*22021* | *[Mm]ultibyte* | *encoding*) answer '400 Bad Request' '{"error":"not UTF-8"}' ;;
*) answer '503 Service Unavailable' '{"error":"the database does not answer"}' ;;
esac
