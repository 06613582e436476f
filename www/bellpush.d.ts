/* bellpush.d.ts - what bellpush.js offers. */

declare function bellpush(url: string, options?: bellpush.Options): bellpush.Bell;

declare namespace bellpush {
    type Transport = 'websocket' | 'eventsource' | 'stream' | 'poll' | 'xdr' | 'jsonp';

    interface Options {
        /** Topics and filters. Without them: those of on(). */
        topics?: string | string[];
        /** From where, at first: 'now' (default), 'earliest', '-10m', or a cursor. */
        since?: string;
        /** A token, or what gives one each time it is needed. */
        token?: string | (() => string | undefined);
        /** Tell the token in the address, where there is no head for it (server: token_in_query). */
        tokenInQuery?: boolean;
        /** Address of the sidecar's WebSocket. */
        ws?: string;
        /** Send cookies to another origin. */
        credentials?: boolean;
        /** JSONP may be used where nothing else works: it runs what the server sends. */
        jsonp?: boolean;
        /** Only these, best first. */
        transports?: Transport[];
        /** Milliseconds until the first bytes must be there (5000). */
        patience?: number;
        /** The longest wait before a new attempt, in milliseconds (30000). */
        maxWait?: number;
    }

    /** An event, as it was published. */
    interface Event {
        id: string;
        topic: string;
        data: string;
        time: string;
        type?: string;
        content_type?: string;
        publisher_id?: string;
        retained?: true;
        /** data is base64: it was no text. */
        encoding?: 'base64';
    }

    /** Events are missing here. */
    interface Gap {
        type: 'bellpush-gap';
        reason: 'expired' | 'epoch' | 'unknown';
        id: string;
        from?: string;
        next: string;
    }

    interface Auth {
        type: 'bellpush-auth';
        reason: 'expiring' | 'expired' | 'revoked';
        expires?: string;
    }

    interface State {
        state: 'connecting' | 'open' | 'waiting' | 'closed';
        transport?: Transport;
        /** Why it is not open: a status of HTTP, or words. */
        why?: number | string;
        /** waiting: milliseconds until the next attempt. */
        wait?: number;
        /** closed by the server: 204, 401 or 403. */
        status?: number;
    }

    interface Attempt {
        transport: Transport;
        /** Milliseconds since the bell was made. */
        began: number;
        opened?: number;
        ended?: number;
        why?: number | string;
    }

    interface Report {
        state: State['state'];
        transport: Transport | 0 | undefined;
        cursor: string;
        /** The last fifty, oldest first. */
        attempts: Attempt[];
    }

    interface PublishError extends Error {
        status: number;
    }

    interface Bell {
        readonly state: State['state'];
        on(name: 'state', fn: (state: State) => void): Bell;
        on(name: 'gap', fn: (gap: Gap) => void): Bell;
        on(name: 'auth', fn: (auth: Auth) => void): Bell;
        on(filter: string, fn: (event: Event) => void): Bell;
        /** The cursor, or null where the server numbers a moment later. A value that is no string is published as JSON. */
        publish(topic: string, data: unknown): Promise<string | null>;
        publish(topic: string, data: unknown, done: (error: PublishError | null, cursor?: string | null) => void): void;
        /** Connect anew, after close() and after a refusal too. */
        reconnect(): void;
        close(): void;
        report(): Report;
    }

    /** With bellpush-share.js: one connection for all tabs. */
    function share(url: string, options?: Options): Omit<Bell, 'report'> & { report(): Report & { leads: boolean } };
    /** An EventSource on XMLHttpRequest. */
    const EventSource: typeof globalThis.EventSource;
    /** Make it the browser's, if it has none. */
    function polyfill(): void;
}

export = bellpush;
export as namespace bellpush;
