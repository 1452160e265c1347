/** A room with recovery: after a reconnect it goes on where it was. In a browser, `show` would change the page. */
import { TopicsClient } from "@effect-websocket/platform"
import { Effect, Stream } from "effect"

export const join = (url: string, room: string, name: string, show: (line: string) => void) =>
  Effect.gen(function* () {
    const client = yield* TopicsClient.make(url)
    yield* client.track(room, name, "{}")
    const messages = Stream.runForEach(client.subscribe(room, { last: 20 }), (event) =>
      Effect.sync(() => {
        if (event._tag === "Publication") show(String(event.message.data))
        if (event._tag === "Gap") show("Some messages are missing")
      })
    )
    const people = Stream.runForEach(client.presenceCounts(room), (count) => Effect.sync(() => show(`${count} here`)))
    yield* Effect.forkScoped(Effect.all([messages, people], { concurrency: 2 }))
    return { say: (text: string) => client.publish(room, `${name}: ${text}`, { echo: true }) }
  })
