#!/bin/sh
#
# deps.sh [build] [run] [test] [bench] [model] - which Debian packages are needed, and why; install
# the missing.
#
# Nothing missing: says nothing.  As root: says what it installs, then installs it, in such a way
# that no web server and no PostgreSQL starts or will start at boot because of us.  Otherwise:
# prints the one line to run as root, and fails.  What not every Debian has, and some tests are skipped
# without, is installed where there is such a package, and missed by nobody where there is none.
set -eu

# kinds, package (a|b: either will do, a is installed; ?a: where there is one), why
table='
build run test bench | gcc                    | the C compiler
build run test bench | libc6-dev              | the C library
build run test bench | pkg-config|pkgconf     | finds the libraries
build run test bench | libfcgi-dev            | FastCGI
build run test bench | libuv1-dev             | the event loop
build run test bench | libpq-dev              | PostgreSQL, client side
build run test bench | libsodium-dev          | constant-time comparison, random, hashes
build run test bench | libssl-dev             | TLS; ES256 and RS256 signatures
build run test bench | libjansson-dev         | JSON
build run test bench | zlib1g-dev             | deflate, for WebSocket messages
build run test bench | ?liburing-dev          | many sends in one system call
run test bench       | postgresql             | the throw-away cluster, psql
run test bench       | lighttpd               | the web server that make run starts
run test             | curl                   | a line that make run prints; is it ready
test bench           | nginx                  | a web server to work behind
test                 | apache2                | a web server to work behind
test                 | libapache2-mod-fcgid   | Apache, one request per process
test                 | spawn-fcgi             | a starter of workers
test                 | libfcgi-bin            | cgi-fcgi, an oracle for our FastCGI
test                 | fcgiwrap               | site.cgi of the demo page behind nginx and Apache
test                 | lighttpd-mod-deflate   | to see that it leaves streams alone
test                 | media-types            | the table of types that web servers read
test                 | pgbouncer              | a pooler to work behind
test                 | libfaketime            | a clock that is set back
test bench           | check                  | unit tests
test bench           | libcurl4-gnutls-dev|libcurl4-openssl-dev|libcurl4-nss-dev | HTTP client of the tests
test                 | openssl                | makes certificates for the tests
test                 | mandoc                 | checks the manual page
test                 | systemd                | checks its units
test                 | php-cli                | runs the samples of contrib/tokens
test                 | php-pgsql              | the way of PHP to PostgreSQL
test                 | python3                | runs them too
test                 | python3-psycopg2       | the way of Python to PostgreSQL
test                 | libdbd-pg-perl         | the way of Perl to PostgreSQL
test                 | clang                  | the second compiler
test                 | libclang-rt-dev|libclang-rt-14-dev|libclang-rt-19-dev | its sanitizers and fuzzer
test                 | git                    | a clean checkout to test in
test                 | nodejs                 | runs what looks at the script of the client
test                 | node-acorn             | says whether it is ECMAScript 3
test                 | terser                 | minifies it, to know its size
test                 | node-typescript        | checks its types
test                 | chromium               | a real browser
test                 | chromium-driver        | drives it
test                 | firefox-esr            | another real browser
test                 | python3-pyqt5.qtwebkit | an old one
test                 | ?libkf5khtml-dev       | a very old one
test                 | g++                    | the compiler for its program
test model           | spin                   | checks the models of the ordering
bench                | libnginx-mod-nchan     | what we compare with
test bench           | node-ws                | a WebSocket peer; what we compare with
test                 | python3-websockets     | another one
'

[ $# -gt 0 ] || set -- build
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')

# The packages of these kinds of which no alternative is there, one per line.
missing() {
    printf '%s' "$table" | while IFS= read -r line; do
        [ -n "$line" ] || continue
        kinds=" ${line%%| *} " rest=${line#*| } packages=
        for package in $(printf '%s' "${rest%% | *}" | tr -d ' ' | tr '|' ' '); do
            packages="$packages $package"
        done
        for kind; do
            case $kinds in *" $kind "*) ;; *) continue ;; esac
            have=
            for package in $packages; do
                package=${package#\?}
                case "
$installed
" in *"
$package
"*) have=yes ;; esac
            done
            packages=${packages# }
            [ -n "$have" ] || printf '%s\n' "${packages%% *}"
            break
        done
    done
}

for kind; do
    case $kind in
    build | run | test | bench | model) ;;
    *) echo "usage: $0 [build] [run] [test] [bench] [model]" >&2; exit 2 ;;
    esac
done

in_apt() { apt-cache show "$1" >/dev/null 2>&1; }

all=$(missing "$@")
wanted=$(printf '%s\n' "$all" | grep -v '^?' | tr '\n' ' ') || :
wanted=${wanted% }
maybe=$(printf '%s\n' "$all" | sed -n 's/^?//p')
if [ -z "$wanted" ]; then
    [ "$(id -u)" = 0 ] || exit 0
    for package in $maybe; do
        in_apt "$package" && wanted="$wanted $package"
    done
    wanted=${wanted# } maybe=
fi
[ -n "$wanted" ] || exit 0

install_line="apt-get install -y --no-install-recommends $wanted"
if [ "$(id -u)" != 0 ]; then
    echo "missing packages; as root:  apt-get update && $install_line" >&2
    exit 1
fi

# ---- as root ---------------------------------------------------------------------------------

# Three traces that we leave only for as long as apt-get runs: policy-rc.d keeps services from
# starting (invoke-rc.d(8)); the other file keeps the PostgreSQL package from making a cluster.
policy=/usr/sbin/policy-rc.d
pg_conf=/etc/postgresql-common/createcluster.d/bellpush-deps.conf
made_policy='' made_pg=''
undo() {
    [ -z "$made_policy" ] || rm -f "$policy"
    [ -z "$made_pg" ] || rm -f "$pg_conf"
    made_policy='' made_pg=''
    rmdir /etc/postgresql-common/createcluster.d /etc/postgresql-common 2>/dev/null || :
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

mkdir -p /usr/sbin
# noclobber: a policy that is there already is somebody's decision
if (set -C; printf '#!/bin/sh\n# while deps.sh of bellpush installs packages\nexit 101\n' >"$policy") 2>/dev/null; then
    made_policy=yes
    chmod 755 "$policy"
fi
case " $wanted " in *" postgresql "*)
    mkdir -p "${pg_conf%/*}"
    made_pg=yes
    echo "create_main_cluster = false" >"$pg_conf"
    ;;
esac

export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -y -qq -o Dpkg::Use-Pty=0 "$@"; }
# The lists of a fresh container are empty; those of an old one may name files that are gone.
# shellcheck disable=SC2086
if ! apt install --no-install-recommends --download-only $wanted >/dev/null 2>&1; then
    apt update
fi
for package in $maybe; do
    if in_apt "$package"; then wanted="$wanted $package"; else echo "not in this Debian: $package"; fi
done
echo "installing: $wanted"
# shellcheck disable=SC2086
apt install --no-install-recommends $wanted

# Installed for tests, not to serve: do not start at boot either.
quiet=
for service in nginx apache2 lighttpd postgresql fcgiwrap; do
    case " $wanted " in *" $service "*)
        update-rc.d "$service" disable >/dev/null 2>&1 || :
        systemctl disable "$service.socket" >/dev/null 2>&1 || :
        quiet="$quiet $service"
        ;;
    esac
done
[ -z "$quiet" ] || echo "installed, but neither started nor enabled:$quiet"
