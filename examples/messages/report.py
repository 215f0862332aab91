"""An outside system reports what it counted: python examples/messages/report.py CONSUMER OFFERING NAME METRIC VALUE

VALUE is how the counter stands, not what was added. $NATS_URL says where NATS is.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from uuid import uuid4

import nats


async def main(consumer: str, offering: str, name: str, metric: str, value: str) -> None:
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    answer = await client.subscribe(inbox := client.new_inbox(), max_msgs=1)
    whose = {"offering": offering, "namespace": consumer, "name": name, "reply": inbox}
    read = {"metric": metric, "value": float(value), "at": datetime.now(UTC).isoformat()}
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/saas",
        "type": "dev.chandlery.usage.reported.v1",
        "data": whose | read,
    }
    await client.jetstream().publish(f"chandlery.in.{consumer}.usage", json.dumps(event).encode())
    print(json.dumps(json.loads((await answer.next_msg(30)).data)["data"], indent=2))
    await client.close()


asyncio.run(main(*sys.argv[1:]))
