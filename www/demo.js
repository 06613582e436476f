/*
 * demo.js - orders, a chat, and who is here: live, by bellpush.js, and to be copied.
 *
 *     site.cgi        the site's own script: what there is, and of which place in the log that is
 *     push/           Bellpush: all that is committed behind that place, and who is here
 *
 * So nothing is missed between the two.  What is told twice does no harm: rows are put in place by their
 * number, people by their name.  Whatever comes from others is shown as text.  ECMAScript 3.
 */
(function () {
    var ROOM = 'chat/lobby', MOST = 50;
    var body = document.body, site = body.getAttribute('data-site');
    var push = full(body.getAttribute('data-push')), ws = full(body.getAttribute('data-ws')).replace(/^http/, 'ws');
    var bell, count = 0, reconnects = 0;

    function $(id) { return document.getElementById(id); }

    function full(address) {
        var a = document.createElement('a');
        a.href = address;
        return a.href;
    }

    function show(element, text) {
        while (element.firstChild) { element.removeChild(element.firstChild); }
        if (text !== '') { element.appendChild(document.createTextNode(text)); }
    }

    function make(tag, name, text) {
        var element = document.createElement(tag);
        if (name) { element.className = name; }
        if (text !== undefined) { show(element, text); }
        return element;
    }

    /* done(answer, error): an object and nothing, or nothing and words. */
    function ask(address, text, done) {
        var xhr = new XMLHttpRequest();
        xhr.open(text === null ? 'GET' : 'POST', address, true);
        xhr.setRequestHeader('Content-Type', 'text/plain;charset=UTF-8');
        xhr.onreadystatechange = function () {
            var answer = {};
            if (xhr.readyState !== 4) { return; }
            try { answer = JSON.parse(xhr.responseText); } catch (e) { /* a page of the web server */ }
            if (xhr.status === 200 || xhr.status === 201) { done(answer); }
            else { done(null, answer.error || (xhr.status ? 'There is no script here that does it (' + xhr.status + ').' : 'The web server does not answer.')); }
        };
        xhr.send(text);
    }

    function ms(value) { return value < 1 ? '< 1 ms' : value < 1e4 ? Math.round(value) + ' ms' : Math.round(value / 1e3) + ' s'; }

    function clock(time) {
        var d = new Date(time), h = d.getHours(), m = d.getMinutes();
        return isNaN(m) ? '' : (h < 10 ? '0' : '') + h + (m < 10 ? ':0' : ':') + m;
    }

    /* ---- orders: rows of a table, put in their place by number ----------------------------------- */

    var STEP = { 'new': 'Pack', packed: 'Send' };
    var clicked = {}; /* by number: when; until the row is seen */

    function order(o, fresh) {
        var list = $('orders'), old = $('order-' + o.id), tr = make('tr', fresh ? 'fresh' : ''), cell, next;
        tr.id = 'order-' + o.id;
        tr.setAttribute('data-order', o.id);
        tr.setAttribute('data-shown', +new Date());
        tr.appendChild(make('td', 'number', o.id));
        tr.appendChild(make('td', 'what', o.item));
        tr.appendChild(make('td', 'status')).appendChild(make('span', 'tag ' + (STEP[o.status] ? o.status : 'other'), o.status));
        tr.appendChild(make('td', 'when', clock(o.at)));
        cell = tr.appendChild(make('td', 'next'));
        if (STEP[o.status]) { cell.appendChild(stepper(o)); }

        for (next = list.firstChild; next && +next.getAttribute('data-order') > o.id;) { next = next.nextSibling; }
        list.insertBefore(tr, next);
        if (old) { list.removeChild(old); }
        if (list.childNodes.length > MOST) { list.removeChild(list.lastChild); }
        $('no-orders').hidden = true;
    }

    function stepper(o) {
        var button = make('button', 'quiet', STEP[o.status]);
        button.type = 'button';
        button.setAttribute('aria-label', STEP[o.status] + ' order ' + o.id);
        button.onclick = function () {
            button.disabled = true;
            ask(site + '?status', '' + o.id, function (answer, error) {
                if (error) { tell('result', error, true); button.disabled = false; }
            });
        };
        return button;
    }

    function onOrder(event) {
        var row = JSON.parse(event.data), o = row['new'] || row.old, gone;
        if (row['new']) { order(o, true); }
        else if ((gone = $('order-' + o.id))) { gone.parentNode.removeChild(gone); }
        show($('spoken'), 'Order ' + o.id + ', ' + o.item + ': ' + (row['new'] ? o.status : 'removed'));
        if (clicked[o.id]) { roundtrip(o.id, +new Date()); }
    }

    /* The row may be here before the script that has inserted it says so: whoever is second, tells. */
    function roundtrip(id, shown) {
        var time = ms(Math.max(0, shown - clicked[id]));
        delete clicked[id];
        show($('roundtrip'), time);
        tell('result', 'Order ' + id + ' came back ' + time + ' after the click.');
    }

    $('order-form').onsubmit = function () {
        var at = +new Date();
        $('insert').disabled = true;
        ask(site + '?order', $('item').value, function (row, error) {
            $('insert').disabled = false;
            if (error) { return tell('result', error, true); }
            $('item').value = '';
            clicked[row.id] = at;
            tell('result', 'Order ' + row.id + ' is committed.');
            if ($('order-' + row.id)) { roundtrip(row.id, $('order-' + row.id).getAttribute('data-shown')); }
        });
        return false;
    };

    function tell(where, text, isError) {
        $(where).className = isError ? 'result error' : 'result';
        show($(where), text);
    }

    /* ---- chat: rows of another table ------------------------------------------------------------- */

    function tint(name) {
        for (var sum = 0, i = 0; i < name.length; i++) { sum = (sum * 31 + name.charCodeAt(i)) % 6007; }
        return 'face tint' + sum % 6;
    }

    function face(name) {
        var f = make('span', tint(name), name.charAt(0).toUpperCase());
        f.setAttribute('aria-hidden', 'true');
        return f;
    }

    function message(m, fresh) {
        var list = $('messages'), line, head, atEnd = list.scrollTop + list.clientHeight > list.scrollHeight - 30;
        if ($('message-' + m.id)) { return; }
        line = make('div', 'message' + (m.name === name ? ' mine' : '') + (fresh ? ' fresh' : ''));
        line.id = 'message-' + m.id;
        line.appendChild(face(m.name));
        head = line.appendChild(make('p', 'from'));
        head.appendChild(make('b', '', m.name));
        head.appendChild(document.createTextNode(' '));
        head.appendChild(make('span', 'faint', clock(m.at)));
        line.appendChild(make('p', 'said', m.text));
        list.appendChild(line);
        if (list.childNodes.length > 2 * MOST) { list.removeChild(list.firstChild); }
        if (atEnd) { list.scrollTop = list.scrollHeight; }
    }

    $('chat-form').onsubmit = function () {
        $('send').disabled = true;
        ask(site + '?message', name + '\n' + $('say').value, function (row, error) {
            $('send').disabled = false;
            tell('chat-result', error || '', error);
            if (!error) { $('say').value = ''; }
        });
        return false;
    };

    /* ---- who is here ------------------------------------------------------------------------------
     * Whoever hears a topic may see who is on it; to be on it oneself, one joins, over a WebSocket, and
     * is on it for as long as that lives.  What has no token is no proof: such names begin with ~. */

    var name = remembered(), people = {}, socket, me;

    function remembered() {
        var words = ['Amber', 'Brisk', 'Calm', 'Early', 'Gentle', 'Merry', 'Quiet', 'Swift'], animals = ['Badger', 'Finch', 'Hare', 'Heron', 'Otter', 'Owl', 'Robin', 'Wren'];
        function any(list) { return list[Math.floor(Math.random() * list.length)]; }
        var made = any(words) + ' ' + any(animals) + ' ' + Math.floor(10 + Math.random() * 90);
        try { return sessionStorage.getItem('bellpush name') || made; } catch (e) { return made; }
    }

    function drawPeople() {
        var list = $('people'), names = [], i, li, plain;
        for (var member in people) { if (people[member] === 1) { names.push(member); } }
        names.sort();
        show(list, '');
        for (i = 0; i < names.length && i < MOST; i++) {
            plain = names[i].replace(/^~/, '');
            li = make('li', names[i] === me ? 'me' : '');
            li.appendChild(face(plain));
            li.appendChild(make('span', '', plain + (names[i] === me ? ' (you)' : '')));
            list.appendChild(li);
        }
        show($('people-count'), names.length);
    }

    function onPresence(event) {
        var member = JSON.parse(event.data).member;
        if (event.type === 'join') { people[member] = 1; } else { delete people[member]; }
        drawPeople();
    }

    function say(what) {
        if (socket && socket.readyState === 1) { socket.send(JSON.stringify({ 'do': what, topic: ROOM, name: name })); }
    }

    /* WebSockets whose CLOSING is not 2 speak a draft of the protocol. */
    function join() {
        if (socket) { return; }
        if (!window.WebSocket || WebSocket.CLOSING !== 2) { return listed('This browser can see who is here, but cannot join: that takes a WebSocket.'); }
        var s = socket = new WebSocket(ws, 'bellpush.v1.json');
        s.onopen = function () { say('join'); };
        s.onmessage = function (m) {
            var said = JSON.parse(m.data);
            if (said['do'] !== 'join') { return; }
            me = said.status < 300 ? said.body.member : '';
            listed(me ? 'You are listed for as long as this page is open.' : said.body.detail);
            drawPeople();
        };
        s.onclose = function () {
            if (socket !== s) { return; }
            socket = null;
            listed('You see who is here, but are not listed: there is no WebSocket here now.');
            if (me) { setTimeout(join, 1000 + Math.random() * 4000); }
            me = '';
            drawPeople();
        };
    }

    function listed(text) { show($('joined'), text); }

    function leave() {
        var s = socket;
        socket = null;
        if (s) { s.close(); }
    }

    $('name').value = name;
    $('name').onchange = function () {
        say('leave');
        name = this.value.replace(/^\s+|\s+$/g, '') || name;
        this.value = name;
        try { sessionStorage.setItem('bellpush name', name); } catch (e) { /* for this page, then */ }
        say('join');
    };
    /* A browser keeps no page with an open WebSocket for the way back. */
    window.onpagehide = leave;
    window.onpageshow = function (e) { if (e.persisted) { join(); } };

    /* ---- the connection ---------------------------------------------------------------------------- */

    var NAMES = {
        websocket: 'WebSocket', eventsource: 'server-sent events', stream: 'streaming request', poll: 'long-poll',
        xdr: 'XDomainRequest', jsonp: 'script tags'
    };

    function onState(s) {
        var before = $('state').getAttribute('data-state'), now = s.state;
        if (now === 'open') {
            if (before === 'reconnecting') { show($('reconnects'), ++reconnects); }
            $('state').setAttribute('data-transport', s.transport);
            show($('transport'), NAMES[s.transport]);
            join();
        } else if (now !== 'closed') {
            now = before === 'open' || before === 'reconnecting' ? 'reconnecting' : 'connecting';
        }
        $('state').setAttribute('data-state', now);
        $('state').className = 'pill ' + now; /* the oldest draw nothing anew for an attribute */
        show($('state-text'), { open: 'connected', closed: 'refused ' + (s.status || ''), connecting: 'connecting', reconnecting: 'reconnecting' }[now]);
    }

    var GAPS = {
        expired: 'This page was away for longer than the log is kept',
        epoch: 'The log was begun anew (another database, or a restore)',
        unknown: 'The log does not know where this page was'
    };

    function onGap(gap) {
        show($('gap'), (GAPS[gap.reason] || GAPS.unknown) + ': what changed meanwhile was not told, so all was fetched again.');
        $('gap').hidden = false;
        fetchAll(function () {});
    }

    function onEvent(event) {
        var late = +new Date() - Date.parse(event.time);
        show($('count'), ++count);
        show($('cursor'), event.id);
        if (!isNaN(late)) { show($('latency'), ms(Math.max(0, late))); } /* by the clocks of both */
    }

    /* What there is now.  done(cursor): from there on it is told; without the script: the last minutes. */
    function fetchAll(done) {
        ask(site, null, function (now, error) {
            var i;
            now = now || {};
            show($('orders'), '');
            for (i = 0; now.orders && i < now.orders.length; i++) { order(now.orders[i]); }
            for (i = now.messages ? now.messages.length : 0; i--;) { message(now.messages[i]); }
            if (error) { tell('result', error, true); }
            ask(push + 'presence?topic=' + encodeURIComponent(ROOM), null, function (who) {
                people = {};
                for (i = 0; who && i < who.members.length; i++) { people[who.members[i].member] = 1; }
                drawPeople();
                done(now.cursor || '-10m');
            });
        });
    }

    fetchAll(function (cursor) {
        bell = bellpush(push, { topics: ['orders/#', ROOM, '$presence/' + ROOM], since: cursor, ws: ws });
        bell.on('orders/+', onOrder);
        bell.on(ROOM, function (event) { message(JSON.parse(event.data)['new'], true); });
        bell.on('$presence/' + ROOM, onPresence);
        bell.on('#', onEvent).on('gap', onGap).on('state', onState);
    });

    /* ---- to paste ------------------------------------------------------------------------------------ */

    function copier(button) {
        button.onclick = function () {
            var range = document.createRange(), all = getSelection(), done;
            range.selectNodeContents($(button.getAttribute('data-copy')));
            all.removeAllRanges();
            all.addRange(range);
            try { done = document.execCommand('copy'); } catch (e) { /* forbidden: it is at least selected */ }
            show(button, done ? 'Copied' : 'Selected');
            setTimeout(function () { show(button, 'Copy'); }, 2000);
        };
    }

    show($('curl'), "curl -N '" + push + "events?topic=orders/%23'");
    for (var buttons = document.getElementsByTagName('button'), b = 0; b < buttons.length; b++) {
        if (buttons[b].getAttribute('data-copy')) { copier(buttons[b]); }
    }
}());
