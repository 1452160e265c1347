import { assert, describe, it } from "@effect/vitest"
import { HostEvents } from "../../src/native/HostEvents.js"

class Events extends HostEvents {
  tell(type: string, data: string): void {
    this.emit(type, { data })
  }

  during(what: () => void): void {
    this.call(what)
  }
}

const listening = (events: Events) => {
  const heard: Array<unknown> = []
  events.addEventListener("message", ({ data }) => heard.push(data))
  events.addEventListener("close", ({ data }) => heard.push(data))
  return heard
}

describe("HostEvents", () => {
  it("keeps what happens before anybody listens, in order", async () => {
    const events = new Events()
    events.tell("message", "first")
    events.tell("close", "second")
    const heard = listening(events)
    assert.deepStrictEqual(heard, [])
    await Promise.resolve()
    assert.deepStrictEqual(heard, ["first", "second"])
    events.tell("message", "third")
    assert.deepStrictEqual(heard, ["first", "second", "third"])
  })

  it("passes on in a later turn what happens during a call, and what follows it", async () => {
    const events = new Events()
    const heard = listening(events)
    await Promise.resolve()
    events.during(() => events.tell("message", "during"))
    events.tell("message", "behind")
    assert.deepStrictEqual(heard, [])
    await Promise.resolve()
    assert.deepStrictEqual(heard, ["during", "behind"])
  })

  it("tells nothing to a listener that was removed", async () => {
    const events = new Events()
    const heard = listening(events)
    await Promise.resolve()
    events.removeEventListener("message")
    events.tell("message", "late")
    assert.deepStrictEqual(heard, [])
  })
})
