/*
 * docs.js - makes the examples of docs.html run: the text of the box is the code.
 *
 * An example states what it gives (data-gives), lines parted by "; ", in whatever order, "…" being anything.
 * When all have been shown it is done.
 */
(function () {
    var body = document.body, push = full(body.getAttribute('data-push')), site = body.getAttribute('data-site');
    var ws = full(body.getAttribute('data-ws')).replace(/^http/, 'ws');
    var corner, token, examples = [], bells = [], running;

    function $(id) { return document.getElementById(id); }

    function full(address) {
        var a = document.createElement('a');
        a.href = address;
        return a.href;
    }

    function show(element, text) {
        while (element.firstChild) { element.removeChild(element.firstChild); }
        element.appendChild(document.createTextNode(text));
    }

    function add(parent, tag, name, text) {
        var element = parent.appendChild(document.createElement(tag));
        element.className = name;
        show(element, text);
        return element;
    }

    function post(what, text, done) {
        var xhr = new XMLHttpRequest();
        xhr.open('POST', site + '?' + what, true);
        xhr.setRequestHeader('Content-Type', 'text/plain;charset=UTF-8');
        xhr.onreadystatechange = function () {
            if (xhr.readyState !== 4) { return; }
            if (xhr.status === 201) { return done(JSON.parse(xhr.responseText)); }
            show($('missing'), 'The site has no script that hands out tokens (' + site + ', ' + xhr.status + '): examples that publish do not work here. They do under “make run”.');
            $('missing').hidden = false;
        };
        xhr.send(text);
    }

    /* ---- what examples are given ------------------------------------------------------------------- */

    /* Bells are closed when the next example begins: browsers have six connections to a host. */
    function keep(make) {
        return function (url, options) {
            var bell = make(url, options);
            bells.push(bell);
            return bell;
        };
    }
    var given = keep(bellpush);
    given.share = keep(bellpush.share);
    given.EventSource = bellpush.EventSource;
    given.polyfill = bellpush.polyfill;

    function order(item) { post('order', item, function () {}); }

    function newToken(seconds, done) {
        post('token', '' + seconds, function (answer) { done(answer.token); });
    }

    /* ---- one example ------------------------------------------------------------------------------- */

    function matches(line, pattern) {
        var words = pattern.split('…');
        for (var i = 0; i < words.length; i++) { words[i] = words[i].replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'); }
        return new RegExp('^' + words.join('[\\s\\S]*') + '$').test(line);
    }

    function dress(pre) {
        var e = { pre: pre, code: (pre.textContent || pre.innerText).replace(/^\s+|\s+$/g, ''), gives: pre.getAttribute('data-gives').split('; ') };
        var bar = document.createElement('div');
        show(pre, e.code);
        bar.className = 'bar';
        pre.parentNode.insertBefore(bar, pre.nextSibling);
        e.button = add(bar, 'button', 'quiet', 'Run');
        e.button.type = 'button';
        e.said = add(bar, 'span', 'gives', 'gives: ' + e.gives.join(' · '));
        e.output = document.createElement('pre');
        e.output.className = 'output';
        e.output.setAttribute('role', 'status');
        e.output.hidden = true;
        bar.parentNode.insertBefore(e.output, bar.nextSibling);
        e.button.onclick = function () { run(e, function () {}); };
        return e;
    }

    function run(e, done) {
        var lines = [], timer;
        function finish(result) {
            clearTimeout(timer);
            if (e.result === 'runs') {
                e.result = result;
                e.pre.setAttribute('data-result', result);
                done();
            }
        }
        function out() {
            var i, j, found, words = [];
            if (running !== lines) { return; } /* somebody else's turn, or a later one of ours */
            for (i = 0; i < arguments.length; i++) { words.push(arguments[i]); }
            lines.push(words.join(' '));
            show(e.output, lines.join('\n'));
            for (i = 0; i < e.gives.length; i++) {
                for (found = false, j = 0; j < lines.length; j++) { found = found || matches(lines[j], e.gives[i]); }
                if (!found) { return; }
            }
            finish('done');
        }
        running = null; /* nobody hears of the end of the one before */
        while (bells.length) { bells.pop().close(); }
        running = lines;
        e.result = 'runs';
        e.pre.setAttribute('data-result', 'runs');
        e.output.hidden = false;
        show(e.output, '…');
        timer = setTimeout(function () { finish('late'); }, 20000);
        try {
            new Function('bellpush', 'push', 'ws', 'corner', 'token', 'show', 'order', 'newToken', e.code)(given, push, ws, corner, token, out, order, newToken);
        } catch (wrong) {
            out('' + wrong); /* a syntax that this browser does not know */
            finish('failed');
        }
    }

    function runAll() {
        var at = 0, good = 0;
        $('run-all').disabled = true;
        (function next() {
            if (at && examples[at - 1].result === 'done') { good++; }
            show($('tally'), good + ' of ' + examples.length + ' gave what they state');
            if (at < examples.length) { run(examples[at++], next); }
            else { $('run-all').disabled = false; }
        }());
    }

    var pres = document.getElementsByTagName('pre'), found = [], i;
    for (i = 0; i < pres.length; i++) { if (pres[i].className === 'example') { found.push(pres[i]); } }
    for (i = 0; i < found.length; i++) { examples.push(dress(found[i])); }
    show($('curl'), push + 'events?topic=%23');
    $('run-all').onclick = runAll;

    post('token', '3600', function (answer) {
        corner = answer.corner;
        token = answer.token;
        show($('corner'), corner);
        body.setAttribute('data-ready', 'yes');
    });
}());
