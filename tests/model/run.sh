#!/bin/sh
#
# run.sh [MODEL...] - let spin check every line "holds …" and "fails …" at the top of the models.
#
#   holds [live] SETTINGS                  no error in all states that there are
#   fails PROMISE SETTINGS…  explanation   an error is found, and it is this promise that is broken
#
# SETTINGS are words in capitals, NAME or NAME=n, defined for the model.  "live" is a promise about
# what must happen in the end (the model's claim under LIVE, weak fairness); all others are assertions.
# A model whose mutants did not fail would prove nothing: that is why they are run each time.
#
# In parallel as many as JOBS (2).  What a failed check has said stays in the folder that is named.
set -eu
cd "$(dirname "$0")"

depth=30000 memory_mb=1500

# check MODEL KIND WORD...: one line of a model
check() {
    model=$1 kind=$2 promise='' settings=''
    shift 2
    for word; do
        case $word in
        *[!A-Z_0-9=]*)
            [ -z "$promise$settings" ] || break # the explanation
            promise=$word
            ;;
        *) settings="$settings -D$word" ;;
        esac
    done
    work=$(mktemp -d "${TMPDIR:-/tmp}/bellpush-model.XXXXXX")
    flags='-DSAFETY' options='' began=$(date +%s)
    if [ "$promise" = live ]; then
        flags='-DNFAIR=3' options='-a -f' settings="$settings -DLIVE"
    fi
    case $kind in
    holds) flags="$flags -O1" ;;
    fails) flags="$flags -O0" ;; # found soon: the compiler would take longer
    esac
    # shellcheck disable=SC2086
    (
        cd "$work"
        spin -a $settings "$top/$model.pml" && cc -w $flags -DMEMLIM=$memory_mb -o pan pan.c &&
            ./pan $options -m$depth -w22
    ) >"$work/said" 2>&1 || echo "ended with an error" >>"$work/said"
    verdict=$(judge "$work/said")
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/said")
    printf '%-4s %-10s %s %s:%s, %s states, %d s\n' "$verdict" "$model" "$kind" "$promise" \
        "$(echo "$settings" | sed 's/-D//g')" "${states:-no}" $(($(date +%s) - began))
    if [ "$verdict" = ok ]; then
        rm -rf "$work"
    else
        grep -E 'rror|assertion violated|cycle|timed out' "$work/said" | head -n 8 | sed 's/^/     /'
        echo "     see $work (spin -t -p -g $settings $model.pml shows the way there)"
        return 1
    fi
}

# What the verifier said, against what was expected of it.
judge() {
    if grep -Eq 'Error:|error:|max search depth too small|out of memory|not completed \(' "$1"; then
        echo BAD
    elif [ "$kind" = holds ]; then
        grep -q 'errors: 0$' "$1" && ! grep -q 'ended with an error' "$1" && echo ok || echo BAD
    elif [ "$promise" = live ]; then
        grep -q 'acceptance cycle (at' "$1" && echo ok || echo BAD
    else
        grep -q "assertion violated.*\\<$promise\\>" "$1" && echo ok || echo BAD
    fi
}

top=$PWD
if [ "${1-}" = --check ]; then
    shift
    check "$@"
    exit
fi

command -v spin >/dev/null || { echo "spin is missing: make deps" >&2; exit 1; }
[ $# -gt 0 ] || set -- *.pml
for model; do
    model=${model%.pml}
    sed -n "s/^ \\* \\(holds\\|fails\\) \\(.*\\)/$model \\1 \\2/p" "$model.pml" | tr -d "\"'\`"
done | xargs -P "${JOBS:-2}" -L1 ./run.sh --check
