import { assert, describe, it } from "vitest"
import * as Connection from "../../src/Connection.js"
import * as Frame from "../../src/Frame.js"
import { encode } from "../../src/FrameEncoder.js"
import { configOf } from "../../src/internal/ConnectionConfig.js"
import * as Message from "../../src/Message.js"
import * as Opcode from "../../src/Opcode.js"
import { concat } from "../support.js"

const key = 0x01020304
const masked = (frame: Frame.Frame): Uint8Array => encode(frame, key)

const ofClient = (text: string): Uint8Array => masked(Frame.make(Opcode.Text, { payload: Buffer.from(text) }))

const textOf = (events: ReadonlyArray<Connection.Event>): ReadonlyArray<unknown> =>
  events.map((event) => (event._tag === "Text" ? event.data : event._tag))

describe("ConnectionConfig", () => {
  it("is shared by connections with the same options", () => {
    const config = configOf({ role: "server" }, false)
    assert.strictEqual(configOf({ role: "server", limits: {} }, false), config)
    for (const [options, compressed] of [
      [{ role: "server" }, true],
      [{ role: "server", maxSendBytes: 1 }, false],
      [{ role: "server", limits: { maxMessageBytes: 1 } }, false],
      [{ role: "server", answerPings: false }, false]
    ] as const) {
      assert.notStrictEqual(configOf(options, compressed), configOf({ role: "server" }, false))
    }
  })

  it("is shared by connections of several kinds that alternate", () => {
    const kind = (maxSendBytes: number) => configOf({ role: "server", maxSendBytes }, false)
    const known = [1, 2, 3].map(kind)
    assert.deepStrictEqual(
      [1, 2, 3, 3, 1, 2].map(kind).map((config) => known.indexOf(config)),
      [0, 1, 2, 2, 0, 1]
    )
    // Others take the place of the one whose last use is the longest ago.
    for (let maxSendBytes = 11; maxSendBytes < 17; maxSendBytes++) kind(maxSendBytes)
    assert.strictEqual(kind(2), known[1])
    assert.notStrictEqual(kind(3), known[2])
  })

  it("is not changed by a caller that changes its options", () => {
    const opcodes = [3]
    const connection = Connection.make({ role: "server", delivery: "frames", opcodes })
    opcodes.pop()
    const frame = new Frame.Frame(true, 0, 3, true, new Uint8Array())
    assert.deepStrictEqual(
      connection.receive(masked(frame)).map(({ _tag }) => _tag),
      ["Frame"]
    )
  })
})

describe("connections that take turns", () => {
  it("keep messages, frames and characters apart that arrive in parts", () => {
    const texts = ["zwölf Boxkämpfer", "€ äöü", "😀 grinning", "plain"]
    const inputs = texts.map((text) => concat([ofClient(text), masked(Frame.make(Opcode.Ping)), ofClient(text)]))
    const connections = texts.map(() => Connection.make({ role: "server" }))
    const received = texts.map((): Array<unknown> => [])
    for (let at = 0; at < Math.max(...inputs.map(({ length }) => length)); at++) {
      inputs.forEach((input, i) => received[i]?.push(...textOf(connections[i]!.receive(input.slice(at, at + 1)))))
    }
    assert.deepStrictEqual(
      received,
      texts.map((text) => [text, "Ping", text])
    )
  })

  it("go on after another one has ended", () => {
    const broken = Connection.make({ role: "server" })
    const unmasked = encode(Frame.make(Opcode.Text))
    assert.deepStrictEqual(textOf(broken.receive(unmasked)), ["Ended"])
    const closed = Connection.make({ role: "server" })
    assert.deepStrictEqual(textOf(closed.receive(masked(Frame.make(Opcode.Close)))), ["Ended"])
    const next = Connection.make({ role: "server" })
    assert.deepStrictEqual(textOf(next.receive(ofClient("next"))), ["next"])
    assert.deepStrictEqual(textOf(broken.receive(ofClient("ignored"))), [])
  })

  it("keep their output apart, and an unfinished message in parts", () => {
    const pair = ["a", "b"].map((name) => ({ name, connection: Connection.make({ role: "server" }) }))
    const written = new Map<string, Array<Uint8Array>>(pair.map(({ name }) => [name, []]))
    const flush = () => {
      for (const { connection, name } of pair) {
        written.get(name)?.push(...connection.takeOutput().map((piece) => piece.slice()))
        connection.recycleOutput()
      }
    }
    pair[0]!.connection.sendFragment("1", false)
    flush()
    for (const { connection, name } of pair) connection.sendFragment(name, true)
    flush()
    assert.strictEqual(pair[0]!.connection.send(Message.text("2")), undefined)
    assert.strictEqual(pair[1]!.connection.outputBytes, 0)
    flush()
    const [a, b] = pair.map(({ name }) => {
      const client = Connection.make({ role: "client", maskKey: () => key })
      return textOf(written.get(name)!.flatMap((piece) => [...client.receive(piece)]))
    })
    assert.deepStrictEqual([a, b], [["1a", "2"], ["b"]])
  })
})
