#!/usr/bin/env php
<?php
/*
 * A token for Bellpush, made with the key that is in the worker's token_key_file: no database asked.
 * Copy bellpush_token() into your page; from a shell:
 *
 *   php token_jwt.php KEYFILE SUBJECT FILTER...     may subscribe to these for an hour
 */

function bellpush_token(string $key, string $subject, array $subscribe, array $publish = [],
                        int $seconds = 3600): string
{
    $base64url = fn(string $bytes): string => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    $now = microtime(true); // with its fraction: a token made right after revoke() is good
    $claims = ['sub' => $subject, 'jti' => bin2hex(random_bytes(12)),
               'iat' => $now, 'exp' => ceil($now + $seconds),
               'bellpush' => ['subscribe' => $subscribe, 'publish' => $publish]];
    $signed = $base64url('{"alg":"HS256","typ":"JWT"}') . '.' .
              $base64url(json_encode($claims, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES));
    return $signed . '.' . $base64url(hash_hmac('sha256', $signed, $key, true));
}

if (PHP_SAPI === 'cli' && realpath($argv[0]) === __FILE__) {
    if ($argc < 4) {
        fwrite(STDERR, "usage: token_jwt.php KEYFILE SUBJECT FILTER...\n");
        exit(2);
    }
    $key = rtrim(file_get_contents($argv[1]), "\r\n"); // as the worker reads it
    echo bellpush_token($key, $argv[2], array_slice($argv, 3)), "\n";
}
