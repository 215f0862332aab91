"""What Helm starts as its post-renderer: hands what was rendered to the process that started Helm, prints the answer.

It runs alone (`python -I -S`), once an install: nothing is imported that is not needed. `socket` would double its cost.
"""

import os
import sys
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socket

PATH = "CHANDLERY_REVIEW_SOCKET"
RUN = "CHANDLERY_REVIEW_RUN"
YES, NO = b"+", b"-"
CHUNK = 1 << 20


def main() -> int:
    line = socket(AF_UNIX, SOCK_STREAM)
    line.connect(os.environ[PATH])
    line.sendall(os.environ[RUN].encode() + b"\n")
    try:
        while given := sys.stdin.buffer.read(CHUNK):
            line.sendall(given)
        line.shutdown(SHUT_WR)
    except OSError:
        pass  # it has answered already: too large
    answer = bytearray()
    while part := line.recv(CHUNK):
        answer += part
    if answer[:1] != YES:
        sys.stderr.write("refused\n")
        return 1
    sys.stdout.buffer.write(answer[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
