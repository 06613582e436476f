# sni_peer.py PORT CERTIFICATES NAME... - asks for the status under each name, with Python's own
#   TLS: the certificate must be good for the name, and a session is resumed under the name that it
#   was made under and no other.
import socket
import ssl
import sys

port, certificates, *names = sys.argv[1:]


def ask(context, name, session=None):
    with socket.create_connection(("127.0.0.1", int(port)), 20) as plain:
        with context.wrap_socket(plain, server_hostname=name, session=session) as tls:
            tls.sendall(f"GET /push/status HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
            reply = b""
            while more := tls.recv(65536):
                reply += more
            assert reply.startswith(b"HTTP/1.1 200 "), reply
            return tls.session, tls.session_reused


for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
    context = ssl.create_default_context(cafile=certificates)
    context.minimum_version = context.maximum_version = version
    for name in names:
        for other in names:
            session, _ = ask(context, name)
            _, reused = ask(context, other, session)
            assert reused == (name == other), (version, name, other, reused)
