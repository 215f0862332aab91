"""An outside system that orders an instance over NATS: python examples/messages/order.py CONSUMER OFFERING NAME

It knows NATS, nothing else. $NATS_URL says where that is.
"""

import asyncio
import json
import os
import sys
from uuid import uuid4

import nats


async def main(consumer: str, offering: str, name: str) -> None:
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    answer = await client.subscribe(inbox := client.new_inbox(), max_msgs=1)
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/erp",
        "type": "dev.chandlery.instance.ordered.v1",
        "data": {"offering": offering, "namespace": consumer, "name": name, "spec": {}, "reply": inbox},
    }
    headers = {"Nats-Msg-Id": f"{event['source']} {event['id']}"}  # published twice, it is kept once
    stream = client.jetstream()
    await stream.publish(f"chandlery.in.{consumer}.orders", json.dumps(event).encode(), headers=headers)
    print(json.dumps(json.loads((await answer.next_msg(30)).data)["data"], indent=2))
    await client.close()


asyncio.run(main(*sys.argv[1:]))
