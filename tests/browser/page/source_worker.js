/* Where there is no document: what a bad address throws, and what a stream brings. */
importScripts('bellpush.js');
var bad = 'nothing', source = new bellpush.EventSource('there.sse');
try { new bellpush.EventSource('http://[/'); }
catch (e) { bad = e.name + ' ' + e.code; }
source.onmessage = function (e) {
    postMessage(bad + ', ' + e.data + ' ' + e.origin);
    source.close();
};
