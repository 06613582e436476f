// What a page may write, and what the compiler must refuse (each error is expected, or it is one).
import bellpush = require('../../../www/bellpush');

const bell: bellpush.Bell = bellpush('/push/', { topics: ['orders/#'], since: '-10m', token: () => undefined });
bell.on('orders/+', (event) => { const text: string = event.topic + event.data; text.trim(); })
    .on('state', (s) => { const wait: number | undefined = s.wait; if (s.state === 'open') { String(wait); } })
    .on('gap', (gap) => { gap.reason === 'expired'; })
    .on('auth', (auth) => { const when: string | undefined = auth.expires; String(when); });
bell.publish('chat/7', { text: 'hello' }).then((cursor) => { const c: string | null = cursor; String(c); });
bell.publish('chat/7', 'hello', (error) => { if (error) { error.status.toFixed(); } });
bell.report().attempts.forEach((a) => { const t: bellpush.Transport = a.transport; t.trim(); });
bell.reconnect();
bell.close();
new bellpush.EventSource('/x', { withCredentials: true }).close();
bellpush.polyfill();
const leads: boolean = bellpush.share('/push/', { topics: 'a' }).report().leads;
String(leads);

// @ts-expect-error an address is needed
bellpush();
// @ts-expect-error no such transport
bellpush('/push/', { transports: ['flash'] });
// @ts-expect-error a gap has no data
bell.on('gap', (gap) => gap.data);
// @ts-expect-error the state is read only
bell.state = 'open';
