/*
 * node_ws.js - node's `ws` as its documentation broadcasts: every client's socket is told in turn.
 *
 * Any request that is no upgrade publishes its body to all clients.  It takes any free port of
 * 127.0.0.1, prints it, and runs until it is stopped.
 */
'use strict';

const http = require('http');
const { WebSocket, WebSocketServer } = require('ws');

const server = http.createServer((request, response) => {
    const parts = [];

    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
        const data = Buffer.concat(parts);

        wss.clients.forEach((client) => {
            if (client.readyState === WebSocket.OPEN)
                client.send(data, { binary: false });
        });
        response.writeHead(204).end();
    });
});
const wss = new WebSocketServer({ server, perMessageDeflate: false });

server.keepAliveTimeout = 0; /* the publisher stays */
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 },
              () => console.log(server.address().port));
