"""aiokafka: asyncio, idempotent producer, consumer groups."""

import asyncio
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


def test_idempotent_round_trip(cluster, topic):
    async def scenario():
        admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 3, 3)])
        await admin.close()
        producer = AIOKafkaProducer(
            bootstrap_servers=cluster.bootstrap, enable_idempotence=True, acks="all")
        await producer.start()
        try:
            await asyncio.gather(*[
                producer.send_and_wait(topic, f"v{n}".encode(), key=f"k{n % 4}".encode())
                for n in range(300)])
        finally:
            await producer.stop()
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=cluster.bootstrap, group_id=f"group-{uuid.uuid4()}",
            auto_offset_reset="earliest")
        await consumer.start()
        got = []
        try:
            while len(got) < 300:
                batches = await asyncio.wait_for(consumer.getmany(timeout_ms=1000), 30)
                for records in batches.values():
                    got += [record.value for record in records]
            await consumer.commit()
        finally:
            await consumer.stop()
        return got

    got = asyncio.run(scenario())
    assert sorted(got) == sorted(f"v{n}".encode() for n in range(300))
