#!/usr/bin/python3
"""A token for Bellpush, made with the key that is in the worker's token_key_file: no database asked.

    python3 token_jwt.py KEYFILE SUBJECT FILTER...     may subscribe to these for an hour
"""
import base64
import hashlib
import hmac
import json
import math
import secrets
import sys
import time


def bellpush_token(key, subject, subscribe, publish=(), seconds=3600):
    def base64url(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = time.time()  # with its fraction: a token made right after revoke() is good
    claims = {
        "sub": subject, "jti": secrets.token_hex(12),
        "iat": now, "exp": math.ceil(now + seconds),
        "bellpush": {"subscribe": list(subscribe), "publish": list(publish)},
    }
    signed = base64url(b'{"alg":"HS256","typ":"JWT"}') + b"." + base64url(json.dumps(claims).encode())
    return (signed + b"." + base64url(hmac.new(key, signed, hashlib.sha256).digest())).decode()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: token_jwt.py KEYFILE SUBJECT FILTER...")
    with open(sys.argv[1], "rb") as file:
        secret = file.read().rstrip(b"\r\n")  # as the worker reads it
    print(bellpush_token(secret, sys.argv[2], sys.argv[3:]))
