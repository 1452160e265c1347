import { assert, it } from "@effect/vitest"
import { annotations } from "../../src/internal/annotations.js"

it("names the URL without its query, and the address if there is one", () => {
  assert.deepStrictEqual(annotations("/chat?token=secret\n", undefined), { "websocket.url": "/chat" })
  assert.deepStrictEqual(annotations("/", "192.0.2.1"), {
    "websocket.url": "/",
    "websocket.remoteAddress": "192.0.2.1"
  })
})
