-- The demo's own table, and the one line that makes it live.
CREATE TABLE demo_order (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item   text NOT NULL CHECK (length(item) BETWEEN 1 AND 100),
    status text NOT NULL DEFAULT 'new',
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT bellpush.watch('demo_order', topic => 'orders/{id}');
