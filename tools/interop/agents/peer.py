"""A peer on the library `websockets` (10 and later): sends back what it gets, and obeys the commands of shared.mjs."""

import asyncio
import json
import sys

import websockets

LIMIT = 2**22
last = "none"


async def talk(socket, origin):
    global last
    try:
        async for data in socket:
            command, _, argument = data.partition(" ") if isinstance(data, str) else ("", "", "")
            if command == "!close":
                code, _, reason = argument.partition(" ")
                await socket.close(int(code), reason)
            elif command == "!big":
                await socket.send("x" * int(argument))
            elif command == "!ping":
                await socket.ping(b"from the peer")
            elif command == "!fragments":
                await socket.send(["one ", "two ", "three"])
            elif command == "!origin":
                await socket.send(str(origin))
            elif command == "!last":
                await socket.send(last)
            elif command == "!forget":
                last = "none"
            else:
                await socket.send(data)
    except websockets.exceptions.ConnectionClosed:
        pass
    await socket.wait_closed()


async def serve():
    async def handler(socket):
        global last
        await talk(socket, socket.request_headers.get("Origin"))
        # Those who ask for the last one close with 1000 themselves.
        if socket.close_code != 1000:
            last = f"{socket.close_code} {socket.close_reason}".strip()

    server = await websockets.serve(handler, "127.0.0.1", 0, subprotocols=["chat.v1"], max_size=LIMIT)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


async def work(job):
    try:
        socket = await websockets.connect(
            job["url"], subprotocols=job["protocols"] or None, origin=job.get("origin"), max_size=LIMIT
        )
    except Exception:
        return {"opened": False, "protocol": "", "code": 1006, "reason": ""}
    await talk(socket, None)
    return {
        "opened": True,
        "protocol": socket.subprotocol or "",
        "code": socket.close_code,
        "reason": socket.close_reason,
    }


async def take_jobs():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await work(json.loads(line))), flush=True)


asyncio.run(serve() if sys.argv[1] == "server" else take_jobs())
