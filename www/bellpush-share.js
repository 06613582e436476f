/*
 * bellpush-share.js - one connection for all tabs of a site: browsers have six to a host, and a page that
 * takes one for itself in every tab soon leaves none.
 *
 *     var bell = bellpush.share('/push/', { topics: ['orders/#'] });     as bellpush(), which comes first
 *
 * Tabs that hear the same topics at the same place elect one that connects, by a lock that the browser
 * gives back when its holder dies (Web Locks), or else by a lease in localStorage.  It tells the others
 * what came (BroadcastChannel, or else storage events), each message with the place before it:
 *
 *     { prev: CURSOR, id: CURSOR, type: …, event: … }       without an event: only how far it is
 *     { auth: … }                                           what has no place
 *
 * So who has missed something knows (its own place is before prev), and fetches it on a connection of
 * its own.  Every tab keeps its place in its bell, and whoever is elected goes on from there: nothing
 * rests on the one that has died.
 */
(function (root, bellpush) {
    var LEASE_MS = 4000;

    bellpush.share = function (url, options) {
        var o = options || {}, name = 'bellpush ' + url + ' ' + [].concat(o.topics || []).join(' ');
        var bell = bellpush(url, o), me = Math.random() + '', heard = [], told = {}, shared = {};
        var last = '', top = '', leads, alone, ticks = 0, release, channel, timer, locks = root.navigator && root.navigator.locks, store;

        try { store = root.localStorage; } catch (e) { /* forbidden */ }

        function place() { return bell.report().cursor; }

        function tell(state) {
            if (state.state === told.state && state.transport === told.transport) { return; }
            told = state;
            shared.state = state.state;
            for (var i = 0; i < heard.length; i++) { heard[i](state); }
        }

        /* ---- the others ---------------------------------------------------------------------- */

        function send(message) {
            message.from = me;
            if (channel) { channel.postMessage(message); }
            else if (store) { store.setItem(name, JSON.stringify(message)); }
        }

        /* We lead: what has come, or only how far we are. */
        function pass(type, event) {
            var id = place();
            if (leads) {
                send({ prev: last || id, id: id, type: type, event: event, state: told });
                last = id;
            }
        }

        function took(m) {
            var at = place();
            if (!m || m.from === me) { return; }
            if (m.join && leads) {
                pass();
                if (bell.state === 'closed') { bell.reconnect(); } /* it was refused: somebody may know better now */
            }
            if (leads || !m.state) { return; }
            if (!alone) {
                if (m.state.state) { tell(m.state); }
                if (m.auth) { bell.hear(m.auth, 'bellpush-auth'); }
            }
            if (!m.id) { return; }
            top = m.id;
            if (at ? bellpush.newer(m.prev, at) : o.since && o.since !== 'now') {
                if (!alone) {
                    alone = 1;
                    bell.reconnect();
                }
            } else if (!alone) {
                bell.hear(m.event || { id: m.id }, m.type);
            }
            caughtUp();
        }

        /* What was missed has been fetched. */
        function caughtUp() {
            if (alone && !leads && !bellpush.newer(top, place())) {
                alone = 0;
                bell.close();
            }
        }

        /* ---- the election -------------------------------------------------------------------- */

        function lead() {
            leads = 1;
            alone = 0;
            last = place();
            bell.reconnect();
        }

        function resign() {
            if (leads && !locks && store) { store.removeItem(name + ' lease'); }
            leads = alone = 0;
            clearInterval(timer);
            bell.close();
            if (release) { release(); }
            release = 0;
        }

        /* Whose is the lease?  Nobody's: write, and look a little later whether it is still ours. */
        function look() {
            var lease = (store.getItem(name + ' lease') || '0').split(' '), now = +new Date();
            if (lease[1] === me) {
                store.setItem(name + ' lease', now + ' ' + me);
                if (!leads) { lead(); }
            } else if (leads) {
                leads = 0;
                bell.close();
            } else if (now - lease[0] > LEASE_MS) {
                store.setItem(name + ' lease', now + ' ' + me);
            }
        }

        function join() {
            var life = {};
            clearInterval(timer);
            if (locks) {
                locks.request(name, function () {
                    return new Promise(function (yes) {
                        if (life.over) { yes(); } else { release = yes; lead(); }
                    });
                });
            } else if (store) {
                look();
            } else {
                lead();
            }
            timer = setInterval(function () {
                if (!locks && store) { look(); }
                if (last !== place() || ++ticks % 10 === 0) { pass(); } /* who missed the last one knows soon */
            }, 1000);
            release = function () { life.over = 1; };
            send({ join: 1 });
        }

        /* ---- what the page has of it ---------------------------------------------------------- */

        bell.close(); /* it connects when it leads */
        bell.on('#', function (event) {
            pass('message', event);
            caughtUp();
        }).on('gap', function (gap) {
            pass('bellpush-gap', gap);
            caughtUp();
        }).on('auth', function (auth) {
            if (leads) { send({ auth: auth, state: told }); }
        }).on('state', function (state) {
            if (leads) {
                tell(state);
                pass();
            }
        });

        if (root.BroadcastChannel) {
            channel = new root.BroadcastChannel(name);
            channel.onmessage = function (m) { took(m.data); };
        } else if (root.addEventListener) {
            root.addEventListener('storage', function (e) {
                if (e.key === name && e.newValue) { took(JSON.parse(e.newValue)); }
            }, false);
        }
        if (root.addEventListener) {
            root.addEventListener('pagehide', resign, false);
            root.addEventListener('pageshow', function (e) { if (e.persisted) { join(); } }, false);
        }

        shared.on = function (what, fn) {
            if (what === 'state') { heard.push(fn); } else { bell.on(what, fn); }
            return shared;
        };
        shared.publish = bell.publish;
        shared.report = function () {
            var r = bell.report();
            r.leads = !!leads;
            return r;
        };
        shared.reconnect = function () { resign(); join(); };
        shared.close = function () {
            resign();
            tell({ state: 'closed' });
        };
        setTimeout(join, 0);
        return shared;
    };
}(typeof self === 'object' ? self : this, typeof require === 'function' ? require('./bellpush.js') : self.bellpush));
