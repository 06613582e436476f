#!/bin/sh
#
# run.sh BUILD PROGRAM DAEMON - `make run`: a throw-away PostgreSQL, lighttpd with its workers, the
# sidecar beside them, the demo page.
#
#   run.sh -- postgres         each in a session of its own, so that Ctrl-C reaches only this script
#         |-- lighttpd         and everything ends in order; ended by the kernel if this script is killed
#         |     '-- workers
#         '-- bellpushd
#
# BUILD/run.XXXXXX holds the cluster and the logs; a short folder in /tmp holds sockets (a socket's
# path has at most 107 bytes).  Both go when this ends.  PROGRAM is the worker, DAEMON the sidecar.
set -eu

# Started in the background by a shell without job control we would be deaf to SIGINT, and a shell
# cannot undo that for itself.
if [ -z "${RUN_HEARS:-}" ]; then
    RUN_HEARS=yes exec env --default-signal=INT,QUIT "$0" "$@"
fi
unset RUN_HEARS

pg_bindir=${BELLPUSH_PG_BINDIR:-}
# What is set for other databases and other workers is not meant for these.
for name in $(env | sed -n 's/^\(PG[A-Z]*\|BELLPUSH_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:?usage: run.sh BUILD PROGRAM DAEMON}
program=${2:?usage: run.sh BUILD PROGRAM DAEMON}
daemon=${3:?usage: run.sh BUILD PROGRAM DAEMON}
PATH=$PATH:/usr/sbin:/sbin
first_port=8080 ports=200
pg='' web='' sidecar='' sleeper='' folder='' short=''

say() { printf 'run: %s\n' "$*"; }
fail() {
    printf 'run: %s\n' "$*" >&2
    exit 1
}

# ---- ending ----------------------------------------------------------------------------------

# A group, or a process that is still on its way to lead one.
signal() { kill "-$2" -- "-$1" 2>/dev/null || kill "-$2" "$1" 2>/dev/null; }
alive() { signal "$1" 0; }

end() { # GROUP SIGNAL
    [ -n "$1" ] && signal "$1" "$2" || return 0
    tries=0
    while alive "$1"; do
        tries=$((tries + 1))
        [ "$tries" -ne 100 ] || signal "$1" KILL || :
        [ "$tries" -lt 120 ] || break
        sleep 0.1
    done
}

finish() {
    status=$?
    trap '' INT TERM HUP PIPE # a second Ctrl-C must not leave half of it behind
    set +e
    [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null
    [ -z "$web$pg" ] || say "stopping"
    end "$sidecar" TERM
    end "$web" TERM
    end "$pg" INT
    [ -z "$folder" ] || rm -rf "$folder"
    [ -z "$short" ] || rm -rf "$short"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap 'exit 141' PIPE

# ---- where, and as whom -------------------------------------------------------------------------

bindir() {
    for dir in "$pg_bindir" "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
        if [ -x "$dir/initdb" ]; then
            printf '%s\n' "$dir"
            return
        fi
    done
    fail "no PostgreSQL server programs (initdb) found"
}
bin=$(bindir)

# PostgreSQL refuses root, and neither the workers nor a CGI script need to be root.
user=''
[ "$(id -u)" != 0 ] || user=postgres
as() { if [ -n "$user" ]; then setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"; else "$@"; fi; }
# Start in a session of its own, to be killed with us; its group is in $!.
launch() { # LOG LAST-SIGNAL COMMAND…
    log=$1 last=$2
    shift 2
    if [ -n "$user" ]; then set -- --reuid="$user" --regid="$user" --init-groups -- "$@"; else set -- -- "$@"; fi
    setsid setpriv --pdeathsig "$last" "$@" >>"$log" 2>&1 </dev/null &
}
own() { [ -z "$user" ] || chown "$user:" "$@"; }

for file in "$program" "$daemon"; do
    [ -x "$file" ] || fail "$file is not there: make"
done
mkdir -p "$build"
folder=$(mktemp -d "$build/run.XXXXXX")
chmod 755 "$folder"
short=$(mktemp -d /tmp/bellpush-run.XXXXXX)
own "$short" "$folder"
site=$top
if ! as test -x "$program" -a -x "$daemon" -a -r "$top/www/index.html" -a -w "$folder"; then
    say "$user cannot reach $top: working on a copy in $short"
    rm -rf "$folder"
    folder=$short/run site=$short/site
    mkdir "$folder" "$site" "$site/contrib"
    cp -R "$top/www" "$top/sql" "$site"
    cp -R "$top/contrib/run" "$top/contrib/lighttpd" "$site/contrib"
    cp "$program" "$site/bellpush.fcgi"
    cp "$daemon" "$site/bellpushd"
    program=$site/bellpush.fcgi daemon=$site/bellpushd
    own -R "$folder" "$site"
fi
cd "$short"

# ---- PostgreSQL ----------------------------------------------------------------------------------

sql() { as "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$short" "$@"; }
start_postgres() {
    launch "$folder/postgresql.log" QUIT "$bin/postgres" -D "$folder/cluster" -c listen_addresses= \
        -c unix_socket_directories="$short" -c fsync=off -c shared_buffers=32MB
    pg=$!
    tries=0
    until as "$bin/pg_isready" -q -h "$short"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ] || ! kill -0 "$pg" 2>/dev/null; then return 1; fi
        sleep 0.1
    done
}
show() { # LOG
    tail -n 20 "$1" >&2
}

say "making a PostgreSQL cluster in $folder"
as "$bin/initdb" -D "$folder/cluster" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
    --no-sync --no-instructions >"$folder/initdb.log" 2>&1 || { show "$folder/initdb.log"; fail "initdb failed"; }
start_postgres || { show "$folder/postgresql.log"; fail "PostgreSQL does not start"; }
say "loading sql/bellpush.sql as an ordinary role"
sql -U postgres -d postgres -c "CREATE ROLE demo LOGIN" -c "CREATE DATABASE demo OWNER demo"
for file in sql/bellpush.sql contrib/run/demo.sql; do
    sql -U demo -d demo -f "$site/$file" >"$folder/load.log" 2>&1 ||
        { show "$folder/load.log"; fail "$file does not load"; }
done

# ---- lighttpd and the workers ---------------------------------------------------------------------

database="host=$short dbname=demo user=demo"
# contrib/lighttpd as it stands, but for its paths
for file in bellpush.conf bellpush-ws.conf; do
    sed -e "s|/usr/local/lib/bellpush/bellpush.fcgi\"|$program --config $short/bellpush.conf\"|" \
        -e "s|/run/lighttpd/|$short/|" -e "s|/run/bellpush/|$short/|" "$site/contrib/lighttpd/$file" >"$short/lighttpd-$file"
done

web_conf() { # PORT
    cat >"$short/bellpush.conf" <<END
database = $database
log_file = $folder/worker.log
drain = 1s
cors_origins = http://127.0.0.1:$1, http://localhost:$1
publishes_per_subject = 600
END
    cat >"$short/lighttpd.conf" <<END
server.modules = ( "mod_alias", "mod_setenv", "mod_cgi" )
server.bind = "127.0.0.1"
server.port = $1
server.document-root = "$site/www"
server.errorlog = "$folder/lighttpd.log"
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html; charset=utf-8", ".css" => "text/css; charset=utf-8",
    ".js" => "text/javascript; charset=utf-8", ".mjs" => "text/javascript; charset=utf-8", ".svg" => "image/svg+xml", "" => "application/octet-stream" )
\$HTTP["url"] == "/site.cgi" {
    alias.url = ( "/site.cgi" => "$site/contrib/run/site.cgi" )
    cgi.assign = ( ".cgi" => "" )
    setenv.add-environment = ( "DEMO_DATABASE" => "$database" )
}
include "$short/lighttpd-bellpush.conf"
include "$short/lighttpd-bellpush-ws.conf"
END
}

listening() { grep -q 'server started' "$folder/lighttpd.log" 2>/dev/null; }

# Only lighttpd's own bind() knows whether a port is free: try, and read what it says.
start_web() { # PORT; 1: taken, 2: broken
    web_conf "$1"
    : >"$folder/lighttpd.log"
    own "$folder/lighttpd.log"
    launch "$folder/lighttpd.out" TERM lighttpd -D -f "$short/lighttpd.conf"
    web=$!
    tries=0
    until listening; do
        if ! kill -0 "$web" 2>/dev/null; then
            end "$web" KILL
            web=''
            ! grep -qi 'address already in use' "$folder/lighttpd.log" "$folder/lighttpd.out" || return 1
            return 2
        fi
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || return 2
        sleep 0.05
    done
}
broken_web() {
    cat "$folder/lighttpd.log" "$folder/lighttpd.out" "$folder/worker.log" >&2 2>/dev/null || :
    fail "$1"
}

port=$first_port
say "starting lighttpd and its workers"
while :; do
    code=0
    start_web "$port" || code=$?
    case $code in
    0) break ;;
    1) port=$((port + 1)) ;;
    *) broken_web "lighttpd does not start" ;;
    esac
    [ "$port" -lt $((first_port + ports)) ] || fail "no free port from $first_port to $((port - 1))"
done
url=http://127.0.0.1:$port
tries=0
until curl -qfs -o /dev/null --noproxy '*' -m 2 "$url/push/ready"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 200 ] || ! kill -0 "$web" 2>/dev/null; then
        broken_web "the worker does not get ready"
    fi
    sleep 0.1
done

# ---- the sidecar -------------------------------------------------------------------------------------

# The worker's settings; lighttpd's word on who asks is believed.
start_sidecar() {
    : >"$folder/sidecar.out"
    launch "$folder/sidecar.out" TERM "$daemon" --config "$short/bellpush.conf" \
        --listen "$short/bellpushd.sock" --set "log_file=$folder/sidecar.log" --set trusted_proxies=unix
    sidecar=$!
    tries=0
    until curl -qfs -o /dev/null --noproxy '*' -m 2 --unix-socket "$short/bellpushd.sock" http://localhost/push/ready; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ] || ! kill -0 "$sidecar" 2>/dev/null; then return 1; fi
        sleep 0.1
    done
}
broken_sidecar() {
    cat "$folder/sidecar.out" "$folder/sidecar.log" >&2 2>/dev/null || :
    fail "$1"
}

say "starting the sidecar"
start_sidecar || broken_sidecar "bellpushd does not get ready"

echo "page: $url/"
echo "curl: curl -N '$url/push/events?topic=orders/%23'"
echo "psql: psql '$database' -c \"INSERT INTO demo_order (item) VALUES ('tea')\""
echo "ws: ws://127.0.0.1:$port/push/ws?topic=orders/%23"
say "Ctrl-C ends it"

# ---- until somebody says stop -----------------------------------------------------------------------

restarts=0
revive() { # NAME
    restarts=$((restarts + 1))
    [ "$restarts" -le 5 ] || fail "$1 has ended again: giving up"
    say "$1 has ended: starting it again"
}
while :; do
    sleep 1 &
    sleeper=$!
    wait "$sleeper" || :
    if ! kill -0 "$pg" 2>/dev/null; then
        revive PostgreSQL
        end "$pg" KILL
        start_postgres || { show "$folder/postgresql.log"; fail "PostgreSQL does not start again"; }
        say "PostgreSQL is back"
    fi
    if ! kill -0 "$web" 2>/dev/null; then
        revive lighttpd
        end "$web" KILL
        start_web "$port" || broken_web "lighttpd does not start again"
    fi
    if ! kill -0 "$sidecar" 2>/dev/null; then
        revive bellpushd
        end "$sidecar" KILL
        start_sidecar || broken_sidecar "bellpushd does not start again"
        say "bellpushd is back"
    fi
done
