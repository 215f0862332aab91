"""Lets the node reach the API server, which listens on loopback only: python -m ...relay HOST PORT..."""

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


async def relay(host: str, port: int) -> None:
    """From `host` to the same port of loopback: bytes both ways, until both sides have said all."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(far_writer):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    async with await asyncio.start_server(answer, host, port) as server:
        await server.serve_forever()


async def main(host: str, ports: list[str]) -> None:
    await asyncio.gather(*[relay(host, int(each)) for each in ports])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
