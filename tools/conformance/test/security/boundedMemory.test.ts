/** How much memory a peer can make a connection hold, and which memory it can read. */
import * as Compressor from "@effect-websocket/protocol/Compressor"
import * as Connection from "@effect-websocket/protocol/Connection"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as Message from "@effect-websocket/protocol/Message"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import { zlib } from "@effect-websocket/platform/node/NodeZlib"
import { constants, deflateRawSync } from "node:zlib"
import { assert, describe, it } from "vitest"
import { bothRoles, type Role } from "../../src/Role.js"
import {
  binary,
  close,
  concat,
  continuation,
  decode,
  latin1,
  opcodes,
  ping,
  rsv1,
  sentTo,
  unfinished,
  type Frame
} from "../../src/Frame.js"

const mebibyte = 1024 * 1024

const endpoint = (role: Role, options: Omit<Connection.Options, "role" | "maskKey"> = {}) =>
  role === "server"
    ? Connection.make({ ...options, role })
    : Connection.make({ ...options, role, maskKey: () => 0x01020304 })

const receive = (connection: Connection.Connection, ...frames: ReadonlyArray<Frame>) =>
  connection.receive(sentTo(connection.role, frames))

const payloadsOf = (connection: Connection.Connection): ReadonlyArray<string> => {
  const payloads: Array<string> = []
  let rest = Buffer.from(concat(connection.takeOutput()))
  for (let frame = decode(rest); frame !== undefined; frame = decode(rest)) {
    payloads.push(latin1(frame.payload))
    rest = rest.subarray(frame.size)
  }
  assert.lengthOf(rest, 0)
  connection.recycleOutput()
  return payloads
}

for (const role of bothRoles) {
  describe(`as ${role}`, () => {
    it("holds little more than the bytes of tiny fragments that never end a message", () => {
      const connection = endpoint(role)
      receive(connection, binary("x", unfinished))
      for (let i = 1; i < 1024; i++) receive(connection, continuation("x", unfinished))
      assert.strictEqual(connection.phase, "Open")
      assert.isAtMost(connection.heldBytes, 2048)
      assert.lengthOf(receive(connection, continuation("x", unfinished)), 1)
      assert.strictEqual(connection.closeStatus.sent?.code, 1009)
      assert.strictEqual(connection.heldBytes, 0)
    })

    it("holds nothing of empty fragments, and ends them at the limit", () => {
      const connection = endpoint(role)
      receive(connection, binary("", unfinished))
      for (let i = 1; i < 1024; i++) receive(connection, continuation("", unfinished))
      assert.isAtMost(connection.heldBytes, 256)
      receive(connection, continuation("", unfinished))
      assert.strictEqual(connection.closeStatus.sent?.code, 1009)
    })

    it("allocates nothing for an announced length, and at most 1 MiB after the first byte", () => {
      const options = { limits: { maxMessageBytes: 100 * mebibyte } }
      const bytes = sentTo(role, [binary(new Uint8Array(50 * mebibyte))])
      const header = bytes.length - 50 * mebibyte
      const connection = endpoint(role, options)
      connection.receive(bytes.slice(0, header))
      assert.strictEqual(connection.heldBytes, 0)
      connection.receive(bytes.slice(header, header + 1))
      assert.isAtMost(connection.heldBytes, mebibyte)
    })

    it("never holds more than twice the received bytes of a message, above 1 MiB", () => {
      const connection = endpoint(role, { limits: { maxMessageBytes: 100 * mebibyte } })
      for (let arrived = 0; arrived < 20 * mebibyte; arrived += 65536) {
        receive(connection, (arrived === 0 ? binary : continuation)(new Uint8Array(65536), unfinished))
        assert.isAtMost(connection.heldBytes, Math.max(mebibyte, 2 * (arrived + 65536)))
      }
    })

    it("writes only the given bytes of a ping, a pong and a Close, and no memory beside them", () => {
      const connection = endpoint(role)
      connection.send(Message.text("secret ".repeat(1000)))
      payloadsOf(connection)
      const memory = new TextEncoder().encode("secret data secret")
      connection.ping(memory.subarray(7, 11))
      connection.pong(memory.subarray(7, 11))
      connection.ping()
      connection.close(4000, "bye")
      assert.deepStrictEqual(payloadsOf(connection), ["data", "data", "", "\x0f\xa0bye"])
    })

    it("answers pings and Closes with their payload, and no memory behind it", () => {
      const connection = endpoint(role)
      connection.send(Message.text("secret ".repeat(1000)))
      payloadsOf(connection)
      receive(connection, ping("a"), ping(), close(1000, "bye"))
      connection.settle()
      assert.deepStrictEqual(payloadsOf(connection), ["a", "", "\x03\xe8"])
    })

    it("answers a flood of Closes once", () => {
      const connection = endpoint(role)
      const events = receive(connection, ...Array.from({ length: 10_000 }, (_, i) => close(1000 + (i % 3))))
      assert.lengthOf(events, 1)
      assert.lengthOf(payloadsOf(connection), 1)
      assert.lengthOf(receive(connection, close(1000)), 0)
      assert.lengthOf(payloadsOf(connection), 0)
    })

    it("returns at most one event for each frame of a chunk", () => {
      const connection = endpoint(role)
      assert.lengthOf(receive(connection, ...Array.from({ length: 1000 }, () => ping())), 1000)
      const written = payloadsOf(connection)
      assert.lengthOf(written, 33)
    })
  })
}

describe("compression", () => {
  const deflated = (data: Uint8Array) =>
    Uint8Array.from(deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4))

  const counting = (settings: PermessageDeflate.Settings) => {
    const asked: Array<number> = []
    const agreement = PermessageDeflate.accept([Extension.make("permessage-deflate")], settings)!
    const port: Compressor.Zlib = {
      ...zlib,
      inflate: (data, options) => {
        asked.push(options.maxBytes)
        return zlib.inflate(data, options)
      }
    }
    return { asked, compression: { agreement, settings, zlib: port } }
  }

  it("inflates at most the rest of the message's limit", () => {
    const { asked, compression } = counting(PermessageDeflate.resolve())
    const connection = endpoint("server", { compression })
    receive(connection, binary(deflated(new Uint8Array(100 * mebibyte)), rsv1))
    assert.deepStrictEqual(asked, [mebibyte])
    assert.strictEqual(connection.closeStatus.sent?.code, 1009)
    assert.strictEqual(connection.heldBytes, 0)
  })

  it("inflates no more than the ratio allows", () => {
    const { asked, compression } = counting(PermessageDeflate.resolve({ maxRatio: 20 }))
    const connection = endpoint("server", { compression })
    receive(connection, binary(deflated(new Uint8Array(mebibyte)), rsv1))
    assert.deepStrictEqual(asked, [65536])
    const error = connection.error
    assert.deepInclude({ ...error }, { _tag: "Payload_too_large", limit: "ratio", max: 20 })
  })

  it("keeps at most the negotiated window", () => {
    for (const bits of [8, 12, 15]) {
      const windows: Array<number> = []
      const settings = PermessageDeflate.resolve({ clientMaxWindowBits: bits, serverMaxWindowBits: bits })
      const agreement = PermessageDeflate.accept(
        [
          Extension.make("permessage-deflate", [
            ["client_max_window_bits", true],
            ["server_max_window_bits", String(bits)]
          ])
        ],
        settings
      )!
      const port: Compressor.Zlib = {
        deflate: (data, options) => {
          windows.push(options.dictionary.length)
          return zlib.deflate(data, options)
        },
        inflate: (data, options) => {
          windows.push(options.dictionary.length)
          return zlib.inflate(data, options)
        }
      }
      const compressor = new Compressor.Compressor({ agreement, settings, zlib: port })
      for (let i = 0; i < 5; i++) {
        const message = Message.text("abcdefgh".repeat(10_000))
        const payload = compressor.deflate(compressor.deflation(message, true)!)!
        compressor.inflate(payload, 0, payload.length, mebibyte)
      }
      assert.lengthOf(windows, 10)
      assert.isAtMost(Math.max(...windows), 2 ** bits)
      assert.isAbove(Math.max(...windows), 0)
    }
  })
})

it("reads or refuses every opcode, and never takes one for another", () => {
  for (let opcode = 0; opcode < 16; opcode++) {
    const connection = endpoint("server")
    receive(connection, { fin: true, rsv: 0, opcode, payload: new Uint8Array(0) })
    connection.settle()
    const known = Object.values<number>(opcodes).includes(opcode) && opcode !== opcodes.continuation
    assert.strictEqual(connection.phase === "Open" || opcode === opcodes.close, known, String(opcode))
  }
})
