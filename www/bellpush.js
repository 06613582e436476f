/*
 * bellpush.js - the bell in a browser, of whatever age: what was committed arrives, in its order, once.
 *
 *     var bell = bellpush('/push/', { topics: ['orders/#'] });
 *     bell.on('orders/+', function (event) { … event.topic, event.data … });
 *
 * No dependency, no build step, ECMAScript 3; README.md beside it tells how to use it.
 *
 * Every way to connect brings the same text (format=sse in handlers/README.md), so there is one parser
 * and one place where events end up, took().  A way is chosen by what it does, not by what the browser
 * says of itself:
 *
 *     connect(way) --first event--> open --end, rotation--> connect(same way, from the cursor)
 *          |                          |
 *          | nothing in time          '--error, silence--> wait (full jitter) --> connect(same way)
 *          '--> connect(next way); after the last: wait, and begin with the best that ever worked
 *
 * On a way that is not the best, a better one is tried beside it now and then, and takes its place when
 * it has spoken: both may bring the same events meanwhile, and what the cursor says was seen is dropped.
 */
(function (root) {
    var OPEN = 1, CLOSED = 2;

    var doc = root.document, place = root.location, calls = 0;

    function now() { return +new Date(); }

    function each(list, fn) { for (var i = 0; i < list.length; i++) { fn(list[i], i); } }

    function objectOf(json) { return root.JSON ? root.JSON.parse(json) : new Function('return ' + json)(); }

    function absolute(url) {
        var a = doc && doc.createElement('a');
        if (!a) { return new root.URL(url, place).href; }
        a.href = url;
        return a.href;
    }

    function foreign(url) {
        return absolute(url).indexOf(place.protocol + '//' + place.host + '/') !== 0;
    }

    /* ---- server-sent events (HTML standard, 9.2.6) -------------------------------------------- */

    /* Gives what takes the text, cut anywhere.  block(data, type, id) at each blank line, data is null
       when there was none; retry(ms). */
    function parser(block, retry, id) {
        var rest = '', data = '', type = '', cr;
        return function (text) {
            if (cr && text.charAt(0) === '\n') { text = text.slice(1); } /* of a CRLF that was cut */
            if (text) { cr = text.charAt(text.length - 1) === '\r'; }
            var lines = text.replace(/\r\n?/g, '\n').split('\n');
            lines[0] = rest + lines[0];
            rest = lines.pop();
            each(lines, function (line) {
                var m = /^([^:]+):? ?([\s\S]*)$/.exec(line), name = m && m[1], value = m && m[2];
                if (!line) {
                    m = data ? data.slice(0, -1) : null;
                    name = type || 'message';
                    data = type = '';
                    block(m, name, id);
                } else if (name === 'data') {
                    data += value + '\n';
                } else if (name === 'event') {
                    type = value;
                } else if (name === 'id' && value.indexOf('\0') < 0) {
                    id = value;
                } else if (name === 'retry' && /^\d+$/.test(value)) {
                    retry(+value);
                }
            });
        };
    }

    /* ---- one request, in three ways ------------------------------------------------------------ */

    function newXhr() {
        return root.XMLHttpRequest ? new root.XMLHttpRequest() : new root.ActiveXObject('MSXML2.XMLHTTP');
    }

    /* some(text so far, xhr) as it comes, done(status, text, xhr) at the end.  Gives what ends it. */
    function ask(url, o, done, some, body) {
        var xhr = newXhr(), timer, over;
        function look(end) {
            var status = 0, text = '';
            if (over) { return; }
            try { /* Internet Explorer before 10 throws until the end */
                status = xhr.status === 1223 ? 204 : xhr.status;
                text = xhr.responseText;
            } catch (e) { /* nothing yet */ }
            if (status && some) { some(text, xhr, status); }
            if (end && !over) {
                stop();
                done(status, text, xhr);
            }
        }
        function stop() {
            over = 1;
            clearInterval(timer);
        }
        xhr.open(body === undefined ? 'GET' : 'POST', url, true);
        if (o.credentials) { xhr.withCredentials = true; }
        for (var name in o.headers) { xhr.setRequestHeader(name, o.headers[name]); }
        /* KHTML streams nothing else.  For Source only at need: old WebKits then tell this for the head's. */
        if (o.plain && xhr.overrideMimeType) { xhr.overrideMimeType('text/plain; charset=utf-8'); }
        if (o.aborted && 'onabort' in xhr) { xhr.onabort = o.aborted; }
        xhr.onreadystatechange = function () {
            if (xhr.readyState > 2) { look(xhr.readyState === 4); }
            else if (some && xhr.readyState === 2) { look(); }
        };
        if (some) { timer = setInterval(function () { look(); }, 100); } /* some say nothing when more has come */
        xhr.send(body === undefined ? null : body);
        return function () {
            stop();
            xhr.abort();
        };
    }

    function askXdr(url, o, done) {
        var xdr = new root.XDomainRequest();
        xdr.onload = function () { done(200, xdr.responseText); };
        xdr.onerror = xdr.ontimeout = function () { done(0); };
        xdr.onprogress = function () {}; /* without it, it may be aborted */
        xdr.open('GET', url);
        xdr.send();
        return function () { xdr.onload = xdr.onerror = null; xdr.abort(); };
    }

    function askScript(url, o, done) {
        var script = doc.createElement('script'), name = 'bellpush_' + ++calls;
        function end(status, text) {
            root[name] = function () {}; /* a script cannot be stopped: it may still call */
            if (!script) { return; }
            if (script.parentNode) { script.parentNode.removeChild(script); }
            script = script.onerror = null;
            if (status !== undefined) { done(status, text); }
        }
        function go() {
            if (script && doc.readyState !== 'complete') { setTimeout(go, 50); } /* or the page would seem to load for ever */
            else if (script) { doc.getElementsByTagName('head')[0].appendChild(script); }
        }
        root[name] = function (text) { end(200, text); };
        script.onerror = function () { end(0); };
        script.src = url + '&callback=' + name;
        go();
        return end;
    }

    /* Streaming: take(text that is new); done(status, text, xhr). */
    function askStream(url, o, done, take) {
        var at = 0;
        return ask(url, o, done, function (text, xhr, status) {
            var more = text.slice(at);
            at = text.length;
            if (status === 200 && (more || xhr.readyState < 4)) { take(more, xhr, at); }
        });
    }

    /* ---- EventSource where there is none ------------------------------------------------------- */

    /* What no host has in its name (what stands before an @ is none). */
    var badHost = /^https?:\/\/[^\/?#]*[\s%<>^|][^\/?#@]*([\/?#]|$)/i;

    /* The error of a bad address, which the oldest make only themselves. */
    function syntaxError(text) {
        try { return new root.DOMException(text, 'SyntaxError'); }
        catch (old) { try { doc.querySelector('!'); } catch (e) { return e; } }
    }

    function Source(url, init) {
        var self = this, heard = {}, retry = 2000, id = '', plain = 0, dead = 0, stop, timer, origin;

        /* An event of the browser's own kind where scripts can make one, else an object like it. */
        function fire(type, of) {
            var e = of || {};
            try { e = of ? new root.MessageEvent(type, of) : new root.Event(type); }
            catch (old) {
                e.type = type;
                e.bubbles = e.cancelable = false;
            }
            tell(e);
        }
        function tell(e) {
            var type = e.type, on = self['on' + type], to = (heard[' ' + type] || []).slice();
            each(['target', 'currentTarget'], function (name) {
                try { Object.defineProperty(e, name, { value: self, configurable: true }); }
                catch (old) { e[name] = self; }
            });
            if (/^(open|message|error)$/.test(type) && typeof on === 'function') { to.push({ fn: on }); }
            each(to, function (l) {
                var fn = l.fn;
                if (l.once) { self.removeEventListener(type, fn); }
                try { if (fn.call) { fn.call(self, e); } else if (fn) { fn.handleEvent(e); } }
                catch (wrong) { setTimeout(function () { throw wrong; }, 0); }
            });
        }
        /* In a moment it is known whether the browser was told to stop, and the page may have closed it. */
        function lost() {
            timer = setTimeout(function () {
                self.readyState = dead ? CLOSED : 0;
                if (!dead) { timer = setTimeout(connect, retry); }
                fire('error');
            }, 0);
        }
        function die() { dead = 1; }
        function connect() {
            var headers = { Accept: 'text/event-stream' }, from = id;
            dead = 0; /* what we have stopped ourselves was told to stop, too */
            if (id) { headers['Last-Event-ID'] = unescape(encodeURIComponent(id)); } /* as bytes of UTF-8 */
            if (!foreign(url)) { headers['Cache-Control'] = 'no-cache'; }
            var feed = parser(function (data, type, last) {
                id = last;
                if (data !== null && self.readyState < CLOSED) {
                    fire(type, { data: data, lastEventId: id, origin: origin });
                }
            }, function (ms) { retry = Math.min(ms, 2e9); }, from); /* a timer of 2^32 ms rings at once */
            try {
                var how = { headers: headers, credentials: self.withCredentials, plain: plain, aborted: die };
                stop = askStream(url, how, function (status) {
                    if (status && (status !== 200 || !self.readyState)) { die(); }
                    lost();
                }, function (more, xhr) {
                    if (!self.readyState) {
                        var kind = xhr.getResponseHeader('Content-Type');
                        if (!plain && !/^text\/event-stream *(;|$)/i.test(kind)) {
                            stop();
                            die();
                            return lost();
                        }
                        if (!plain && /charset="?(?!utf-8)\w/i.test(kind)) { /* it is UTF-8 all the same */
                            plain = 1;
                            stop();
                            return connect();
                        }
                        origin = (xhr.responseURL || self.url).replace(/^(\w+:\/\/)([^\/]*@)?([^\/]*).*/, '$1$3');
                        self.readyState = OPEN;
                        fire('open');
                    }
                    feed(more);
                });
            } catch (refused) {
                if (refused.code === 12) { throw refused; } /* a bad address, out of the constructor */
                die();
                lost();
            }
        }

        if (!(self instanceof Source) || !arguments.length) { throw new TypeError('new EventSource(url)'); }
        try { self.url = absolute(url = '' + url); } catch (e) { /* a worker */ }
        if (self.url === undefined || badHost.test(self.url)) { throw syntaxError('bad URL: ' + url); }
        self.withCredentials = !!(init && init.withCredentials);
        self.readyState = 0;
        self.onopen = self.onmessage = self.onerror = null;
        self.addEventListener = function (type, fn, how) {
            var list = heard[' ' + type] || [], known = !fn;
            heard[' ' + type] = list;
            each(list, function (l) { known = known || l.fn === fn; });
            if (!known) { list.push({ fn: fn, once: how && how.once }); }
        };
        self.removeEventListener = function (type, fn) {
            var kept = [];
            each(heard[' ' + type] || [], function (l) { if (l.fn === fn) { l.fn = 0; } else { kept.push(l); } });
            heard[' ' + type] = kept;
        };
        self.dispatchEvent = function (e) { tell(e); return !e.defaultPrevented; };
        self.close = function () {
            self.readyState = CLOSED;
            clearTimeout(timer);
            if (stop) { stop(); }
        };
        if (/^(https?:|(?!\w+:))/i.test(self.url)) { connect(); }
        else {
            die();
            lost();
        }
    }
    each([Source, Source.prototype], function (o) {
        o.CONNECTING = 0;
        o.OPEN = OPEN;
        o.CLOSED = CLOSED;
    });

    /* ---- the bell ------------------------------------------------------------------------------ */

    var special = /^(state|gap|auth)$/; /* of what on() takes: no topics */

    function matches(filter, topic) {
        var f = filter.split('/'), t = topic.split('/');
        if (special.test(filter) || (/^[+#]/.test(filter) && topic.charAt(0) === '$')) { return false; }
        for (var i = 0; i < f.length; i++) {
            if (f[i] === '#') { return true; }
            if (i >= t.length || (f[i] !== '+' && f[i] !== t[i])) { return false; }
        }
        return f.length === t.length;
    }

    /* Is a cursor behind another?  If of another history: the server has told the gap. */
    function newer(id, than) {
        var a = id.split('-'), b = than.split('-');
        return a[0] !== b[0] || +a[1] > +b[1];
    }

    function bellpush(url, options) {
        var o = options || {}, base = url.replace(/\/*$/, '/'), began = now(), patience = o.patience || 5000;
        var order = o.transports || ['websocket', 'eventsource', 'stream', 'poll', 'xdr', 'jsonp'];
        var topics = [].concat(o.topics || []), heard = [], past = [], cursor = '', bell = {};
        var link = 0, trial = 0, timer, beat, climber, climb = 3 * patience; /* 0: none */
        var fails = 0, rounds = 0, home = -1, retry = 2000, checked = began, notBefore = 0, told;

        /* ---- telling the page ---------------------------------------------------------------- */

        function emit(event, name) {
            each(heard.slice(), function (h) {
                if (name ? h[0] === name : matches(h[0], event.topic)) {
                    try { h[1](event); } catch (e) { setTimeout(function () { throw e; }, 0); }
                }
            });
        }

        function setState(state, more) {
            more = more || {};
            more.state = bell.state = state;
            more.transport = link && order[link.n];
            if (told !== (told = state + more.transport)) { emit(more, 'state'); }
        }

        /* ---- asking the server --------------------------------------------------------------- */

        function token() { return typeof o.token === 'function' ? o.token() : o.token; }

        function address(path, more) {
            var q = path + '?format=sse&since=' + encodeURIComponent(cursor || o.since || 'now') + (more || '');
            each(topics, function (topic) { q += '&topic=' + encodeURIComponent(topic); });
            if (o.tokenInQuery) { q += '&access_token=' + encodeURIComponent(token()); }
            return q;
        }

        function how() {
            var t = !o.tokenInQuery && token();
            return { credentials: o.credentials, headers: t ? { Authorization: 'Bearer ' + t } : {} };
        }

        /* What it said of when to come back, in milliseconds. */
        function after(xhr) { return xhr && xhr.getResponseHeader('Retry-After') * 1000; }

        function feeder(l) {
            return parser(function (data, type) {
                if (data !== null) { took(l, type, data); }
            }, function () {});
        }

        /* ---- ways ---------------------------------------------------------------------------- */

        /* Can a token be told, or is there none? */
        function free() { return !o.token || o.tokenInQuery; }
        function xhrReaches() {
            try {
                var xhr = newXhr();
                return !foreign(base) || 'withCredentials' in xhr;
            } catch (e) { return false; } /* there is none */
        }

        function polls(asker) {
            return function (l) {
                var stop, soon, asked = 0;
                l.again = function (wait) {
                    if (asked++ < 2) { wait = 0; } /* the first was to see whether there is anybody */
                    l.seen = now() + wait;
                    soon = setTimeout(function () {
                        l.feed = feeder(l);
                        l.ended = 0;
                        try {
                            stop = asker(address(base + 'poll', '&wait=' + (l.open ? 25 : 0)), how(), function (status, text, xhr) {
                                if (status === 200) { l.feed(text); }
                                if (!l.ended) { lost(l, status, after(xhr)); }
                            });
                        } catch (e) { lost(l, '' + e); }
                    }, wait);
                };
                l.again(0);
                return function () {
                    clearTimeout(soon);
                    if (stop) { stop(); }
                };
            };
        }

        var ways = {
            websocket: [function () { /* the drafts had no CLOSING of 2 */
                return o.ws && free() && root.WebSocket && root.WebSocket.CLOSING === 2;
            }, function (l) {
                var s = new root.WebSocket(address(absolute(o.ws).replace(/^http/, 'ws')));
                s.onmessage = function (m) { l.feed(m.data); };
                s.onclose = function () { doubt(l); };
                return function () { s.close(); };
            }],
            eventsource: [function () {
                return free() && root.EventSource && root.EventSource !== Source;
            }, function (l) {
                var s = new root.EventSource(address(base + 'events'), { withCredentials: !!o.credentials });
                each(['message', 'bellpush-hello', 'bellpush-heartbeat', 'bellpush-gap', 'bellpush-auth', 'bellpush-end'], function (type) {
                    s.addEventListener(type, function (e) { took(l, type, e.data); }, false);
                });
                s.onerror = function () { doubt(l); }; /* we come back ourselves: with the cursor, and not all at once */
                return function () { s.close(); };
            }],
            stream: [xhrReaches, function (l) {
                var h = how();
                h.plain = 1;
                return askStream(address(base + 'events', '&padding=1'), h, function (status, text, xhr) {
                    lost(l, status, after(xhr));
                }, function (more, xhr, at) {
                    l.feed(more);
                    if (at > 500000 && !l.over) { l.again(0); } /* the browser keeps it all */
                });
            }],
            poll: [xhrReaches, polls(ask)],
            xdr: [function () { return root.XDomainRequest && !xhrReaches() && free(); }, polls(askXdr)],
            jsonp: [function () { return o.jsonp && doc && free(); }, polls(askScript)]
        };

        /* The first way from n on that this browser has; -1: none. */
        function next(n) {
            for (; n < order.length; n++) {
                if (ways[order[n]][0]()) { return n; }
            }
            return -1;
        }

        /* ---- links --------------------------------------------------------------------------- */

        function finish(l, why) {
            if (l && !l.over) {
                l.over = 1;
                l.note.ended = now() - began;
                l.note.why = why;
                if (l.stop) { l.stop(); }
            }
        }

        function schedule(n, wait) {
            clearTimeout(timer);
            timer = setTimeout(function () { connect(n); }, wait);
        }

        function connect(n, beside) {
            var l = { n: n, seen: now(), note: { transport: order[n], began: now() - began } };
            if (n < 0) { return setState('closed', { why: 'no transport' }); }
            if (beside) { trial = l; } else { link = l; }
            if (past.push(l.note) > 50) { past.shift(); }
            l.feed = feeder(l);
            l.again = function (wait) { /* it went as it should: the same once more */
                finish(l, 'end');
                if (l === link) { schedule(n, wait); }
            };
            try { l.stop = ways[order[n]][1](l); }
            catch (e) { setTimeout(function () { lost(l, '' + e); }, 0); }
            if (l.over && l.stop) { l.stop(); }
        }

        function opened(l) {
            l.open = 1;
            l.note.opened = now() - began;
            if (l === trial) {
                finish(link, 'better');
                clearTimeout(timer);
                link = l;
                trial = 0;
                climb = 3 * patience;
            }
            home = l.n;
            rounds = 0;
            clearTimeout(climber);
            better(home);
            setState('open');
        }

        /* Later try the ways from n on that are better than ours. */
        function better(n) {
            var first = next(0);
            if (!link || link.over || first >= link.n) { return; }
            if (n < link.n && next(n) < link.n) {
                connect(next(n), 1);
            } else {
                climber = setTimeout(function () { better(0); }, climb);
                climb = Math.min(climb * 2, 9e5);
            }
        }

        function backOff() { return Math.random() * Math.min(o.maxWait || 3e4, retry * Math.pow(2, fails)); }

        /* It ended as it should not.  why: a status (200: cut), or words; wait: what the server said;
           elsewhere: it says so on another way. */
        function lost(l, why, wait, elsewhere) {
            var n = l.n, first = home < 0 && !rounds;
            if (l.over) { return; }
            finish(l, why = why || 'error');
            if (l === trial) {
                trial = 0;
                better(n + 1);
                return;
            }
            fails = l.open && now() - began - l.note.opened > 5 * retry ? 0 : fails + 1;
            if (why === 204 || why === 401 || why === 403) { return end({ status: why }); }
            if (!l.open && !(elsewhere && why !== 200) && !(n === home && fails < 3 && !elsewhere)) {
                n = next(n + 1);
                if (n < 0) {
                    n = next(Math.max(home, 0));
                    first = 0;
                    rounds++;
                }
            } else {
                first = 0;
            }
            if (wait) { notBefore = now() + wait; }
            wait = wait ? wait + backOff() : first ? 0 : backOff();
            schedule(n, wait); /* first: whoever is told may close the bell */
            setState(first ? 'connecting' : 'waiting', { why: why, wait: wait });
        }

        /* The browser does not say why: ask in a way that does. */
        function doubt(l) {
            if (l.over || l.doubted) { return; }
            if (l.open || !xhrReaches()) { return lost(l); }
            l.doubted = 1;
            l.stop();
            l.stop = ask(address(base + 'poll', '&wait=0'), how(), function (status, text, xhr) {
                lost(l, status, after(xhr), 1);
            });
        }

        function took(l, type, text) {
            if (l.over) { return; }
            var e = objectOf(text);
            l.seen = now();
            if (type === 'bellpush-hello') {
                retry = e.retry;
                l.limit = e.heartbeat + 2 * patience;
            }
            if (!l.open) { opened(l); }
            hear(e, type);
            if (type === 'bellpush-end' && !l.over) {
                l.ended = 1;
                l.again(e.retry);
            }
        }

        /* What has come, by us or (bellpush-share.js) by another tab: tell the page, once. */
        function hear(e, type) {
            if (type === 'bellpush-gap') {
                if (e.reason !== 'expired' || newer(e.next, cursor)) {
                    cursor = e.next;
                    emit(e, 'gap');
                }
            } else if (type === 'bellpush-auth') {
                emit(e, 'auth');
            } else if (e.id && newer(e.id, cursor)) {
                cursor = e.id;
                if (type === 'message') {
                    fails = 0;
                    emit(e);
                }
            }
        }

        /* ---- life ---------------------------------------------------------------------------- */

        function check() {
            var back = Math.min(now() - checked, 0); /* somebody has set the clock */
            notBefore += back;
            checked = now();
            each([link, trial], function (l) {
                if (l) { l.seen += back; }
                if (l && !l.over && checked - l.seen > (l.open ? l.limit : patience * Math.min(1 + rounds, 6))) { lost(l, 'silent'); }
            });
        }

        function rest(why) {
            finish(link, why);
            finish(trial, why);
            trial = 0;
            clearTimeout(timer);
            clearTimeout(climber);
        }

        function start() {
            rest('again');
            fails = rounds = 0;
            schedule(next(Math.max(home, 0)), notBefore - now());
            setState('connecting');
        }

        function onLife(e) {
            var type = e.type;
            if (type === 'pagehide') { rest(type); } /* or the page could not be kept for a return */
            else if (type === 'online' || (type === 'pageshow' && e.persisted) || (link.over && !doc.hidden)) { start(); }
            else { check(); }
        }

        function life(verb) {
            each(['pagehide', 'pageshow', 'online', 'visibilitychange'], function (type) {
                var at = type === 'visibilitychange' ? doc : root;
                if (at && at[verb]) { at[verb](type, onLife, false); }
            });
        }

        function end(more) {
            rest('closed');
            clearInterval(beat);
            beat = 0;
            life('removeEventListener');
            setState('closed', more);
        }

        bell.on = function (name, fn) {
            heard.push([name, fn]);
            if (!o.topics && !special.test(name) && ('\n' + topics.join('\n') + '\n').indexOf('\n' + name + '\n') < 0) {
                topics.push(name);
                if (link) { start(); }
            }
            return bell;
        };
        bell.publish = function (topic, data, done) {
            var h = how(), text = typeof data === 'string';
            h.headers['Content-Type'] = text ? 'text/plain; charset=utf-8' : 'application/json';
            function send(yes, no) {
                ask(base + 'publish?topic=' + encodeURIComponent(topic), h, function (status, answer) {
                    var e = new Error(answer || 'no answer');
                    e.status = status;
                    if (status > 199 && status < 300) { yes(objectOf(answer).cursor); } else { no(e); }
                }, 0, text ? data : root.JSON.stringify(data));
            }
            if (!done && root.Promise) { return new root.Promise(send); }
            done = done || function () {};
            send(function (cursor) { done(null, cursor); }, done);
        };
        bell.reconnect = function () {
            home = -1;
            notBefore = 0;
            if (!beat) {
                beat = setInterval(check, 1000);
                life('addEventListener');
            }
            start();
        };
        bell.close = function () { end(); };
        bell.hear = hear;
        bell.report = function () {
            return { state: bell.state, transport: link && order[link.n], cursor: cursor, attempts: past };
        };

        timer = setTimeout(bell.reconnect, 0); /* when the page has said what it wants to hear */
        return bell;
    }

    bellpush.newer = newer;
    bellpush.EventSource = Source;
    bellpush.polyfill = function () { if (!root.EventSource) { root.EventSource = Source; } };

    if (typeof module === 'object' && module.exports) { module.exports = bellpush; } else { root.bellpush = bellpush; }
}(typeof self === 'object' ? self : this));
