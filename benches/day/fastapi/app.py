"""What one would write in a day: verify Meta's signature, remember each status, answer 200.

Durable: PostgreSQL commits with synchronous_commit=on before the answer. APP_SECRET and DATABASE_URL come from the
environment. Each worker has 32 connections, so that commits that come together can be synced together.
"""

import hashlib
import hmac
import json
import os
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request, Response

SECRET = os.environ["APP_SECRET"].encode()
UPSERT = """INSERT INTO statuses VALUES ($1, $2, $3, $4)
    ON CONFLICT (wamid, status) DO UPDATE SET at = excluded.at"""


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=32, max_size=32)
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks/{channel}")
async def receive(channel: str, request: Request) -> Response:
    body = await request.body()
    ours = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(ours, request.headers.get("x-hub-signature-256", "")):
        return Response(status_code=401)
    rows = [
        (status["id"], status["status"], int(status["timestamp"]), status["recipient_id"])
        for entry in json.loads(body)["entry"]
        for change in entry["changes"]
        for status in change["value"].get("statuses", [])
    ]
    async with request.app.state.pool.acquire() as connection:
        if len(rows) == 1:
            await connection.execute(UPSERT, *rows[0])
        else:
            await connection.executemany(UPSERT, rows)
    return Response(status_code=200)
