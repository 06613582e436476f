/*
 * selftest.js - for the owner of a site: which transports get through, how fast, and which line of whose
 * configuration mends what does not.
 */
(function () {
    var PATIENCE_MS = 4000, QUICK_MS = 1000;
    var set = document.body.dataset, push = asked('push') || set.push, ws = asked('ws') || set.ws;
    var server = '', encoding = '', results = {};

    var ways = [
        ['websocket', 'WebSocket'], ['eventsource', 'EventSource'], ['stream', 'XMLHttpRequest, streaming'],
        ['poll', 'XMLHttpRequest, long-poll'], ['jsonp', 'script tags (JSONP)']
    ];
    /* contrib/ of Bellpush has the whole of each. */
    var BUFFERS = {
        nginx: 'fastcgi_buffering off;\ngzip off;',
        lighttpd: 'server.stream-response-body = 2\ndeflate.mimetypes = ()',
        apache: 'SetEnv no-gzip 1\nProxyPass "unix:/run/bellpush/bellpush.sock|fcgi://bellpush/" flushpackets=on   # mod_proxy_fcgi\n' +
            'FcgidOutputBufferSize 0   # mod_fcgid'
    };
    var UPGRADES = {
        nginx: 'proxy_pass http://127.0.0.1:8081;\nproxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;',
        lighttpd: 'proxy.header = ( "upgrade" => "enable" )',
        apache: 'ProxyPass /push/ws http://127.0.0.1:8081/push/ws upgrade=websocket'
    };

    function $(id) { return document.getElementById(id); }
    function asked(name) {
        var m = new RegExp('[?&]' + name + '=([^&]*)').exec(location.search);
        return m ? decodeURIComponent(m[1]) : '';
    }
    function add(parent, tag, text, name) {
        var e = document.createElement(tag);
        e.textContent = text;
        if (name) { e.className = name; }
        parent.appendChild(e);
        return e;
    }

    /* Who answers, and does somebody compress it?  What is gathered has no head yet. */
    function look(path, then) {
        var xhr = new XMLHttpRequest(), timer = setTimeout(done, PATIENCE_MS);
        function done() {
            if (!timer) { return; }
            clearTimeout(timer);
            timer = 0;
            server = xhr.getResponseHeader('Server') || server;
            encoding = xhr.getResponseHeader('Content-Encoding') || '';
            xhr.abort();
            then();
        }
        xhr.onreadystatechange = function () { if (xhr.readyState > 1) { done(); } };
        xhr.open('GET', push.replace(/\/*$/, '/') + path + '?format=sse&wait=0&topic=bellpush/selftest');
        xhr.send();
    }

    function words(why) {
        return why === 'silent' ? 'held back: nothing came within ' + PATIENCE_MS / 1000 + ' s'
            : why === 'no transport' ? 'this browser has none'
            : why === 200 || why === 'error' ? 'fails'
            : typeof why === 'number' ? 'answered with status ' + why : String(why);
    }

    function probe(i) {
        var way = ways[i], row, bell, over;
        if (!way) { return sum(); }
        row = add($('results'), 'tr', '');
        row.setAttribute('data-way', way[0]);
        add(row, 'td', way[1]);
        if (way[0] === 'websocket' && !ws) {
            add(row, 'td', 'not asked for (no sidecar given)');
            add(row, 'td', '–', 'number');
            return probe(i + 1);
        }
        bell = bellpush(push, { transports: [way[0]], topics: ['bellpush/selftest'], patience: PATIENCE_MS, jsonp: true, ws: ws });
        bell.on('state', function (s) {
            var a = bell.report().attempts[0], ms = a && a.opened - a.began;
            if (over || s.state === 'connecting' && !s.why) { return; }
            over = 1;
            results[way[0]] = s.state === 'open' ? 'ok' : s.status || s.why;
            row.setAttribute('data-result', results[way[0]]);
            add(row, 'td', s.state !== 'open' ? words(results[way[0]]) : ms > QUICK_MS ? 'works, but slowly' : 'works');
            add(row, 'td', s.state === 'open' ? ms + ' ms' : '–', 'number');
            setTimeout(function () {
                bell.close();
                probe(i + 1);
            }, 0);
        });
    }

    function mend(why, lines) {
        $('advice').hidden = false;
        add($('lines'), 'p', why);
        add(add($('lines'), 'pre', ''), 'code', lines);
    }

    function sum() {
        var family = /nginx|lighttpd|apache/i.exec(server), refused = [401, 403, 404, 500, 502, 503];
        var streams = results.eventsource === 'ok' || results.stream === 'ok', polls = results.poll === 'ok' || results.jsonp === 'ok';
        family = family ? family[0].toLowerCase() : '';
        function linesOf(table) { return table[family] || '# nginx\n' + table.nginx + '\n# lighttpd\n' + table.lighttpd + '\n# Apache\n' + table.apache; }
        $('summary').textContent = streams ? 'Events arrive as they are committed.'
            : polls ? 'Nothing is lost, but streams do not get through: each event costs a request.'
            : 'Nothing gets through.';
        $('summary').textContent += server ? ' The web server calls itself ' + server + '.' : '';
        document.body.setAttribute('data-result', streams ? 'streams' : polls ? 'polls' : 'nothing');
        if (results.eventsource === 'silent' || results.stream === 'silent') {
            mend('Somebody gathers the bytes of a stream before passing them on. In the web server:', linesOf(BUFFERS));
        } else if (encoding && encoding !== 'identity') {
            mend('The stream is compressed (' + encoding + '), which delays events:', linesOf(BUFFERS));
        }
        if (ws && results.websocket !== 'ok') { mend('The WebSocket does not get through. In the web server, for its address:', linesOf(UPGRADES)); }
        if (!streams && !polls && refused.join().indexOf(results.poll) >= 0) {
            mend(results.poll === 404 ? 'There is no Bellpush at this address:' : results.poll < 500 ? 'Bellpush, or the web server, refuses:'
                : 'The web server finds no worker behind it:', push);
        }
    }

    look('poll', function () {
        look('events', function () { probe(0); });
    });
}());
