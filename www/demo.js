/*
 * demo.js - hear Bellpush and show it; no library, any browser since 2013.
 *
 * First one plain poll?…&wait=0 for the last ten minutes; its cursor says where to go on.  Then two
 * ways to hear, and one place where events end up (took()):
 *   EventSource on events?…, which reconnects by itself with Last-Event-ID.  It gives up for good
 *   when it is answered with an error status, so then we open a new one, with last_event_id=.
 *   Long-poll on poll?…, when no EventSource has opened after five seconds (an old browser, or
 *   something on the way that holds streams back).
 */
(function () {
    'use strict';

    var OPEN_MS = 5000, RETRY_MIN_MS = 500, RETRY_MAX_MS = 15000, ROWS = 50, PAST = '-10m';

    var set = document.body.dataset;
    var link = document.createElement('a');
    link.href = set.push;
    var push = link.href; // in full
    var topic = (location.search.match(/[?&]topic=([^&]*)/) || [])[1];
    topic = topic ? decodeURIComponent(topic) : set.topic;

    var cursor = '';      // everything up to here has been shown
    var seen = {};        // cursors of late, so that nothing shows twice
    var seenOrder = [];
    var count = 0, reconnects = 0, live = false, wasOpen = false, retryMs = RETRY_MIN_MS;
    var streams = false;  // an EventSource has once opened
    var began = 0;        // the first try
    var rows = {};        // by id: when its event came; if it is ours, when clicked, and the item
    var rowOrder = [];
    var waiting = [];     // rows to draw

    function $(id) { return document.getElementById(id); }
    function query(more) { return '?topic=' + encodeURIComponent(topic) + more; }

    // ---- connection ---------------------------------------------------------------------------

    function state(name, text) {
        $('state').setAttribute('data-state', name);
        $('state-text').textContent = text;
    }

    function opened(name, text) {
        if (wasOpen && $('state').getAttribute('data-state') === 'reconnecting') {
            $('reconnects').textContent = ++reconnects;
        }
        wasOpen = true;
        retryMs = RETRY_MIN_MS;
        state(name, text);
    }

    function lost() { state(wasOpen ? 'reconnecting' : 'connecting', wasOpen ? 'reconnecting' : 'connecting'); }

    // Twice as long each time, and nobody at the same moment as everybody else.
    function later(what) {
        setTimeout(what, retryMs * (0.5 + Math.random()));
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    }

    function listen() {
        var from = '&last_event_id=' + encodeURIComponent(cursor);
        var source = new EventSource(push + 'events' + query('&format=json' + from));
        var patience = setTimeout(failed, OPEN_MS);

        function failed() {
            clearTimeout(patience);
            source.close();
            if (streams || Date.now() - began < OPEN_MS) { later(listen); } else { poll(); }
        }
        lost();
        source.onopen = function () {
            clearTimeout(patience);
            streams = true;
            opened('open', 'connected');
        };
        source.onerror = function () {
            lost();
            if (source.readyState === EventSource.CLOSED) { failed(); }
        };
        source.onmessage = function (e) { took(JSON.parse(e.data)); };
        source.addEventListener('bellpush-gap', function (e) { gap(JSON.parse(e.data)); });
    }

    // One question: then(answer), or a little later failed().
    function ask(from, then, failed) {
        var xhr = new XMLHttpRequest();
        function wrong() { lost(); later(failed); }
        xhr.open('GET', push + 'poll' + query(from));
        xhr.timeout = 60000;
        xhr.onerror = xhr.ontimeout = wrong;
        xhr.onload = function () {
            var answer = null;
            try { answer = xhr.status === 200 ? JSON.parse(xhr.responseText) : null; } catch (e) { /* wrong */ }
            if (!answer) { wrong(); return; }
            answer.events.forEach(took);
            cursor = answer.next;
            $('cursor').textContent = cursor;
            then(answer);
        };
        xhr.send();
    }

    // The first question is not held, so that we soon know whether there is anybody.
    function poll() {
        var held = $('state').getAttribute('data-state') === 'polling';
        ask('&since=' + encodeURIComponent(cursor) + (held ? '&wait=25' : '&wait=0'), function (answer) {
            opened('polling', 'connected by long-poll');
            setTimeout(poll, held ? answer.retry || 0 : 0);
        }, poll);
    }

    function start() {
        ask('&wait=0&since=' + PAST, function () {
            live = true; // so far it was the past
            began = Date.now();
            if (window.EventSource) { listen(); } else { poll(); }
        }, start);
    }

    // ---- events ---------------------------------------------------------------------------------

    var GAPS = {
        expired: 'This page was away for longer than the log is kept: events are missing here.',
        epoch: 'The log was started anew (another database, or a restore): what came before is another history.',
        unknown: 'The log does not know where this page was: events may be missing here.'
    };

    function gap(told) {
        $('gap').textContent = (GAPS[told.reason] || GAPS.unknown) + ' Going on after ' + told.next + '.';
        $('gap').hidden = false;
        cursor = told.next;
    }

    function took(event) {
        if (event.type === 'bellpush-gap') { gap(event); return; }
        if (seen[event.id]) { return; }
        seen[event.id] = true;
        if (seenOrder.push(event.id) > 2 * ROWS) { delete seen[seenOrder.shift()]; }
        cursor = event.id;

        var now = Date.now(), data = null;
        try { data = JSON.parse(event.data); } catch (e) { /* text, then */ }
        var fields = data && (data.new || data.old || data); // {"op": …, "table": …, "new": {…}}
        var id = fields && fields.id;
        var kind = String(event.type || data && data.op || 'event');
        var row = { event: event, kind: kind.toLowerCase(), fields: fields, age: live ? Math.max(0, now - Date.parse(event.time)) : null };
        if (id !== undefined && id !== null) {
            row.order = id;
            if (row.kind === 'insert') { arrived(id, 'back', performance.now()); }
        }
        count++;
        waiting.push(row);
        if (waiting.length > ROWS) { waiting.shift(); }
        if (waiting.length === 1) { setTimeout(draw, 0); }
    }

    function cell(tr, text, name) {
        var td = document.createElement('td');
        if (name) { td.className = name; }
        td.textContent = text;
        tr.appendChild(td);
        return td;
    }

    function ms(value) {
        return value < 1 ? '< 1 ms' : value < 1e4 ? Math.round(value) + ' ms' : Math.round(value / 1e3) + ' s';
    }

    function tr(row) {
        var line = document.createElement('tr'), fields = row.fields, what, bold;
        var when = new Date(Date.parse(row.event.time));
        line.className = row.age === null ? '' : 'fresh';
        line.setAttribute('data-cursor', row.event.id);
        if (row.order !== undefined) { line.setAttribute('data-order', row.order); }
        if (rows[row.order] && rows[row.order].clicked) { line.className += ' mine'; }
        cell(line, when.toLocaleTimeString());
        cell(line, row.event.topic, 'topic');
        var kind = document.createElement('span');
        kind.className = 'kind';
        kind.textContent = row.kind;
        cell(line, '', 'kind-cell').appendChild(kind);
        what = cell(line, '', 'what');
        bold = document.createElement('strong');
        bold.textContent = fields && fields.item !== undefined ? fields.item : row.event.data;
        what.appendChild(bold);
        if (fields && fields.status && fields.status !== 'new') { what.appendChild(document.createTextNode(' · ' + fields.status)); }
        cell(line, row.age === null ? 'earlier' : ms(row.age), 'number');
        return line;
    }

    // Once per burst, however many came.
    function draw() {
        var body = $('events'), fresh = waiting, last = fresh[fresh.length - 1];
        waiting = [];
        if (body.querySelector('.empty')) { body.textContent = ''; }
        fresh.forEach(function (row) { body.insertBefore(tr(row), body.firstChild); });
        while (body.children.length > ROWS) { body.removeChild(body.lastChild); }
        $('count').textContent = count;
        $('cursor').textContent = cursor;
        if (last.age !== null) {
            $('latency').textContent = ms(last.age);
            $('spoken').textContent = 'New: ' + body.firstChild.querySelector('strong').textContent;
        }
    }

    // ---- inserting --------------------------------------------------------------------------------

    function result(text, isError) {
        $('result').className = isError ? 'result error' : 'result';
        $('result').textContent = text;
    }

    // The row may come back before the script that inserted it has answered: whoever is second, tells.
    function arrived(id, what, at, item) {
        if (!rows[id]) {
            rows[id] = {};
            if (rowOrder.push(id) > 4 * ROWS) { delete rows[rowOrder.shift()]; }
        }
        var m = rows[id];
        m[what] = at;
        if (item !== undefined) { m.item = item; }
        if (m.clicked !== undefined && m.back !== undefined && !m.told) {
            m.told = true;
            $('roundtrip').textContent = ms(m.back - m.clicked);
            result('Order ' + id + ' (' + m.item + ') came back ' + ms(m.back - m.clicked) + ' after the click.');
            var line = document.querySelector('tr[data-order="' + Number(id) + '"]');
            if (line) { line.classList.add('mine'); }
        }
    }

    $('form').onsubmit = function (e) {
        var ask = new XMLHttpRequest(), item = $('item').value, clicked = performance.now();
        e.preventDefault();
        function done(text) {
            $('insert').disabled = false;
            if (text) { result(text, true); }
        }
        ask.open('POST', set.insert);
        ask.setRequestHeader('Content-Type', 'text/plain;charset=UTF-8');
        ask.timeout = 15000;
        ask.onload = function () {
            var answer = {};
            try { answer = JSON.parse(ask.responseText); } catch (e) { /* below */ }
            if (ask.status !== 201) {
                done(answer.error || 'There is no script here that inserts rows (' + ask.status + '): use the SQL line below.');
                return;
            }
            done();
            $('item').value = '';
            if (!rows[answer.id]) { result('Order ' + answer.id + ' is committed.'); }
            arrived(answer.id, 'clicked', clicked, answer.item);
        };
        ask.onerror = ask.ontimeout = function () { done('The web server does not answer.'); };
        $('insert').disabled = true;
        result('Inserting…');
        ask.send(item);
    };

    // ---- to paste --------------------------------------------------------------------------------

    $('curl').textContent = "curl -N '" + push + 'events' + query('').replace(/%2F/g, '/') + "'";
    Array.prototype.forEach.call(document.querySelectorAll('[data-copy]'), function (button) {
        button.onclick = function () {
            var range = document.createRange(), all = getSelection();
            range.selectNodeContents($(button.getAttribute('data-copy')));
            all.removeAllRanges();
            all.addRange(range);
            // Where copying is forbidden the line is at least selected.
            button.textContent = document.execCommand('copy') ? 'Copied' : 'Selected';
            setTimeout(function () { button.textContent = 'Copy'; }, 2000);
        };
    });

    lost();
    start();
}());
