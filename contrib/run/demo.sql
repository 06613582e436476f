-- The demo's own tables, and the two lines that make them live.
CREATE TABLE demo_order (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item   text NOT NULL CHECK (length(item) BETWEEN 1 AND 100),
    status text NOT NULL DEFAULT 'new',
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT bellpush.watch('demo_order', topic => 'orders/{id}');

CREATE TABLE demo_message (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (length(name) <= 30 AND name ~ '\S' AND name !~ '[[:cntrl:]]'),
    text text NOT NULL CHECK (length(text) <= 300 AND text ~ '\S' AND text !~ '[[:cntrl:]]'),
    at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT bellpush.watch('demo_message', topic => 'chat/lobby', operations => '{INSERT}');
