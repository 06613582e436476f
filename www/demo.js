/*
 * demo.js - hear Bellpush by its client, bellpush.js, and show it; any browser since 2013.
 */
(function () {
    'use strict';

    var ROWS = 50, PAST = '-10m', PAST_MS = 1000;

    var set = document.body.dataset;
    var link = document.createElement('a');
    link.href = set.push;
    var push = link.href; // in full
    var topic = (location.search.match(/[?&]topic=([^&]*)/) || [])[1];
    topic = topic ? decodeURIComponent(topic) : set.topic;

    var count = 0, reconnects = 0;
    var began = Date.now(), opened = 0; // this page; its first connection
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

    function onState(s) {
        var polls = /poll|jsonp/.test(s.transport);
        if (s.state === 'open') {
            if ($('state').getAttribute('data-state') === 'reconnecting') { $('reconnects').textContent = ++reconnects; }
            opened = opened || Date.now();
            state(polls ? 'polling' : 'open', polls ? 'connected by long-poll' : 'connected');
            $('state').title = s.transport;
        } else if (s.state === 'closed') {
            state('closed', 'refused' + (s.status ? ' (' + s.status + ')' : ''));
        } else {
            s = opened ? 'reconnecting' : 'connecting';
            state(s, s);
        }
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
    }

    function took(event) {
        var now = Date.now(), data = null;
        try { data = JSON.parse(event.data); } catch (e) { /* text, then */ }
        var fields = data && (data.new || data.old || data); // {"op": …, "table": …, "new": {…}}
        var id = fields && fields.id;
        var kind = String(event.type || data && data.op || 'event');
        var time = Date.parse(event.time), past = time < began && now - opened < PAST_MS;
        var row = { event: event, kind: kind.toLowerCase(), fields: fields, age: past ? null : Math.max(0, now - time) };
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
        $('cursor').textContent = last.event.id;
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

    onState({});
    bellpush(set.push, { topics: [topic], since: PAST, ws: set.ws }).on('#', took).on('gap', gap).on('state', onState);
}());
