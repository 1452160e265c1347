import { Effect } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import type { Closable, Owner } from "../../src/engine/connection/Closables.js"
import { Option, Schedule } from "effect"
import { Reconnecting } from "../../src/internal/reconnecting.js"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import type { Message } from "@effect-websocket/protocol/Message"
import { settled } from "../support.js"

class Place implements Owner {
  readonly members = new Set<Closable>()
  add(member: Closable): void {
    this.members.add(member)
  }
  delete(member: Closable): void {
    this.members.delete(member)
  }
}

describe("Reconnecting", () => {
  it.effect("ends in the step in which its scope begins to end", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const reconnecting = new Reconnecting<WebSocket.WebSocket, Message, never, never>({
        adopt: (socket) => socket,
        read: () => Effect.void,
        connect: Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push("connect"))),
        schedule: Schedule.forever,
        stableMillis: 1,
        maxRetryAfterMillis: 1,
        classify: () => "reconnect",
        onConnect: () => Effect.void,
        outboxCapacity: 1,
        outboxStrategy: "suspend"
      })
      const place = new Place()
      reconnecting.start(Effect.runSync(Effect.runtime<never>()), place)
      yield* settled
      const outcome = yield* reconnecting.offer("a")
      assert.isTrue(place.members.has(reconnecting))
      let closed = 0
      reconnecting.beginClose(1001)
      reconnecting.whenClosed(() => closed++)
      assert.strictEqual(closed, 1)
      assert.strictEqual(Effect.runSync(outcome), "dropped")
      assert.deepStrictEqual(Effect.runSync(reconnecting.state.get), { _tag: "Closed", failure: undefined })
      assert.deepStrictEqual(Effect.runSync(reconnecting.receiveOption), Option.none())
      assert.strictEqual(place.members.size, 0)
      yield* settled
      assert.deepStrictEqual(interrupted, ["connect"])
    })
  )
})
