// ws_peer.js URL CERTIFICATE - another reading of the RFCs (ws for node) speaks to our echo; to a wss:
// one, if the certificate is right.
'use strict';
const { WebSocket } = require('ws');
const assert = require('assert');
const fs = require('fs');

const OFFERS = [
    [false, ''],
    [true, 'permessage-deflate'],
    [{ serverMaxWindowBits: 9, threshold: 0 }, 'server_max_window_bits=9'],
    [{ serverMaxWindowBits: 8, clientMaxWindowBits: 9, threshold: 0 }, 'server_max_window_bits=8'],
    [{ serverNoContextTakeover: true, threshold: 0 }, 'server_no_context_takeover'],
];

function* messages() {
    yield '';
    yield 'Hello, Straße, 世界, \u{1f514}';
    for (const n of [125, 126, 65535, 65536, 1 << 20]) {
        yield '{"some":"json"},'.repeat(n / 16 + 1).slice(0, n);
        yield Buffer.from(Array.from({ length: n }, (_, i) => i * i % 251));
    }
}

function speak(url, ca, [perMessageDeflate, agreed]) {
    return new Promise((done, fail) => {
        const ws = new WebSocket(url, { perMessageDeflate, ca });
        const sent = [...messages()];
        let heard = 0, pongs = 0;
        ws.on('error', fail);
        ws.on('open', () => {
            assert(ws.extensions.includes('permessage-deflate') === Boolean(perMessageDeflate));
            for (const m of sent)
                ws.send(m);
            ws.ping('there?');
            ws.send('in ', { fin: false });
            ws.send('fragments', { fin: true });
            sent.push('in fragments');
        });
        ws.on('upgrade', (answer) => {
            const extensions = answer.headers['sec-websocket-extensions'] || '';
            assert(extensions.includes(agreed), extensions);
        });
        ws.on('pong', (data) => { pongs++; assert.strictEqual(data.toString(), 'there?'); });
        ws.on('message', (data, binary) => {
            const want = sent[heard++];
            assert.strictEqual(binary, typeof want !== 'string');
            assert(Buffer.from(want).equals(data));
            if (heard === sent.length)
                ws.close(3333, 'done');
        });
        ws.on('close', (code) => {
            assert.strictEqual(code, 3333);
            assert.strictEqual(pongs, 1);
            done();
        });
    });
}

(async () => {
    for (const offer of OFFERS)
        await speak(process.argv[2], fs.readFileSync(process.argv[3]), offer);
})().catch((e) => { console.error(e); process.exit(1); });
