"""Lets the node reach the API server, which listens on loopback only: python -m ...relay HOST:PORT TARGET."""

import asyncio
import contextlib
import sys

CHUNK = 1 << 16


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
        sink.write_eof()


async def relay(host: str, port: int, target: int) -> None:
    """Bytes both ways, until both sides have said all."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
            with contextlib.closing(far_writer):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    async with await asyncio.start_server(answer, host, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    address, _, listened = sys.argv[1].rpartition(":")
    asyncio.run(relay(address, int(listened), int(sys.argv[2])))
