import { assert, describe, it } from "vitest"
import type * as Connection from "@effect-websocket/protocol/Connection"
import { ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Frame } from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import { concat, fromHex, utf8 } from "./support.js"
import { deflated, livePeer, zlib } from "./zlib.js"
import {
  binary,
  close,
  closed,
  conformance,
  continuation,
  echo,
  endpoint,
  owned,
  peerOf,
  ping,
  plainError,
  plainEvent,
  pong,
  rawClose,
  roles,
  sentTo,
  text,
  unfinished,
  violated,
  type Role
} from "./endpoints.js"

const rsv1 = { rsv: 4 } as const

const compression = (offer: PermessageDeflate.Parameters, options: PermessageDeflate.Options = {}) => {
  const client = PermessageDeflate.resolve({ ...options, offers: [offer] })
  const server = PermessageDeflate.resolve(options)
  const answered = PermessageDeflate.accept(PermessageDeflate.offer(client), server)
  if (answered === undefined) return assert.fail("declined")
  const agreed = PermessageDeflate.check([answered.extension], client)
  if (agreed === undefined || agreed instanceof ProtocolError) return assert.fail(String(agreed))
  return {
    server: { zlib, settings: server, agreement: answered },
    client: { zlib, settings: client, agreement: agreed }
  }
}

const agreed = compression({ clientMaxWindowBits: true }).server
const options = { compression: agreed }

// -------------------------------------------------------------------------------------------------------------------
// Reserved bits and faults
// -------------------------------------------------------------------------------------------------------------------

const hello = text("Hello, world!")
const compressedHello = text(deflated("Hello, world!"), rsv1)
const reserved = violated(1002, "5.2", "A reserved bit is set that no extension gave a meaning")
const continued = violated(1002, "6.1", "A continuation frame has RSV1 set", "RFC 7692")
const control = violated(1002, "6.1", "A control frame has a reserved bit set", "RFC 7692")
const corrupt = violated(1007, "7.2.2", "A compressed message is corrupt", "RFC 7692")
const invalidUtf8 = violated(1007, "8.1", "A text message is not UTF-8")

const half = deflated("Hello, world!")
const [first, second] = [half.subarray(0, 6), half.subarray(6)]

conformance(
  "RSV1",
  [
    { name: "text", input: [compressedHello], output: [hello] },
    { name: "binary", input: [binary(deflated("Hello"), rsv1)], output: [binary("Hello")] },
    {
      name: "compressed, plain, compressed",
      input: [compressedHello, hello, compressedHello],
      output: [hello, hello, hello]
    },
    {
      name: "fragments, of which only the first has it, with a ping between",
      input: [text(first, { ...rsv1, fin: false }), ping("now"), continuation(second)],
      output: [pong("now"), hello]
    },
    {
      name: "empty fragments around",
      input: [
        text("", { ...rsv1, fin: false }),
        continuation("", unfinished),
        continuation(half, unfinished),
        continuation()
      ],
      output: [hello]
    },
    { name: "an empty message of one octet", input: [text(fromHex("00"), rsv1)], output: [text()] },
    { name: "an empty message of no octet", input: [binary("", rsv1), hello], output: [binary(), hello] },
    {
      name: "a final block, then another message",
      input: [text(fromHex("f348cdc9c9070000"), rsv1), compressedHello],
      output: [text("Hello"), hello]
    },
    {
      name: "messages, then a Close",
      input: [compressedHello, close(1000), compressedHello],
      output: [hello],
      end: closed(1000)
    },
    {
      name: "on a continuation",
      input: [hello, text(first, { ...rsv1, fin: false }), continuation(second, rsv1)],
      output: [hello],
      end: continued
    },
    {
      name: "on a continuation of a plain message",
      input: [text("Hello", unfinished), continuation("", { ...rsv1, fin: false })],
      output: [],
      end: continued
    },
    { name: "on a ping", input: [compressedHello, ping("", rsv1)], output: [hello], end: control },
    {
      name: "on a pong inside a message",
      input: [text(first, { ...rsv1, fin: false }), pong("", rsv1)],
      output: [],
      end: control
    },
    { name: "on a Close", input: [rawClose(close(1000).payload, rsv1)], output: [], end: control },
    ...[1, 2, 3, 5, 6, 7].map((rsv) => ({
      name: `RSV ${rsv}`,
      input: [hello, text(half, { rsv }), hello],
      output: [hello],
      end: reserved
    }))
  ],
  [],
  options
)

conformance(
  "faults in what is compressed",
  [
    {
      name: "a reserved kind of block",
      input: [hello, text(fromHex("0700"), rsv1), hello],
      output: [hello],
      end: corrupt
    },
    { name: "a plain text with RSV1", input: [text("Hello, world!", rsv1)], output: [], end: corrupt },
    { name: "a block that is cut off", input: [text(first, rsv1)], output: [], end: corrupt },
    {
      name: "a block that is cut off, in fragments, in front of a Close",
      input: [compressedHello, text(first, { ...rsv1, fin: false }), continuation(), close(1000)],
      output: [hello],
      end: corrupt
    },
    {
      name: "a reference to before the beginning",
      input: [text(fromHex("f200110000"), rsv1)],
      output: [],
      end: corrupt
    },
    {
      name: "what is no DEFLATE behind a final block",
      input: [text(fromHex("f348cdc9c9070007ffffff"), rsv1)],
      output: [],
      end: corrupt
    },
    {
      name: "a text that is not UTF-8",
      input: [text(deflated(Uint8Array.of(0xc3, 0x28)), rsv1)],
      output: [],
      end: invalidUtf8
    },
    {
      name: "a text that is cut off inside a character",
      input: [text(deflated(Uint8Array.of(0xe2, 0x82)), { ...rsv1, fin: false }), continuation()],
      output: [],
      end: invalidUtf8
    },
    {
      name: "bytes that are not UTF-8",
      input: [binary(deflated(Uint8Array.of(0xc3, 0x28)), rsv1)],
      output: [binary(Uint8Array.of(0xc3, 0x28))]
    }
  ],
  [],
  options
)

for (const role of roles) {
  describe(`limits, as ${role}`, () => {
    const limits = { maxMessageBytes: 1000 }
    const bomb = deflated(new Uint8Array(1001))
    const ended = (input: ReadonlyArray<Frame>, limited: Connection.Options["limits"]) =>
      echo(role, sentTo(role, ...input), 100, owned, { ...options, limits: limited }).ended.map(plainError)
    const tooLarge = (limit: string, max: number, size?: number) => [
      { _tag: "Payload_too_large", limit, max, size, direction: "inbound" }
    ]

    it("refuses a message that inflates to more than the limit, with 1009", () => {
      assert.deepStrictEqual(ended([hello, binary(bomb, rsv1)], limits), tooLarge("message", 1000))
      const connection = endpoint(role, { ...options, limits })
      connection.receive(sentTo(role, binary(bomb, rsv1)))
      assert.strictEqual(connection.closeStatus.sent?.code, 1009)
    })

    it("accepts a message that inflates to exactly the limit", () => {
      assert.deepStrictEqual(ended([binary(deflated(new Uint8Array(1000)), rsv1)], limits), [])
    })

    it("applies the same limits to compressed payloads", () => {
      // On the wire it may be larger by what deflating adds: a sixteenth and 64 bytes.
      const wire = new Uint8Array(70)
      assert.deepStrictEqual(ended([binary(wire, rsv1)], { maxMessageBytes: 4 }), tooLarge("message", 4, wire.length))
      assert.deepStrictEqual(ended([binary(bomb, rsv1)], { maxMessageBytes: 4 }), tooLarge("message", 4))
      assert.deepStrictEqual(ended([binary(bomb, rsv1)], { maxFrameBytes: 4 }), tooLarge("frame", 4, bomb.length))
      const fragments = [binary(bomb, { ...rsv1, fin: false }), continuation("", unfinished), continuation()]
      assert.deepStrictEqual(ended(fragments, { maxFragments: 2 }), tooLarge("fragments", 2, 3))
    })
  })
}

// -------------------------------------------------------------------------------------------------------------------
// Groups 12 and 13: sizes, fragments and parameters, against a peer that keeps live streams
// -------------------------------------------------------------------------------------------------------------------

const json = (size: number, seed: number): string => {
  let all = ""
  for (let i = seed; all.length < size; i++)
    all += JSON.stringify({ id: i, kind: "trade", price: i * 17.5, note: "ünïcode" })
  return all.slice(0, size)
}

/** Sends `data` to an endpoint that echoes, and returns what came back. */
const exchange = async (
  role: Role,
  connection: Connection.Connection,
  peer: ReturnType<typeof livePeer>,
  data: string,
  fragmentBytes: number
): Promise<{ readonly data: string; readonly compressed: boolean }> => {
  const payload = await peer.compress(utf8(data))
  const parts: Array<Frame> = []
  for (let start = 0; start === 0 || start < payload.length; start += fragmentBytes) {
    const part = payload.subarray(start, start + fragmentBytes)
    const fin = start + fragmentBytes >= payload.length
    parts.push(start === 0 ? text(part, { ...rsv1, fin }) : continuation(part, { fin }))
  }
  for (const event of connection.receive(sentTo(role, ...parts), true)) {
    if (event._tag !== "Text") return assert.fail(JSON.stringify(event))
    assert.isUndefined(connection.send(event))
  }
  const written = concat(connection.takeOutput())
  connection.recycleOutput()
  const { frames: found, violation } = frames({ role: peerOf(role), rsv: 4 })(written)
  assert.isUndefined(violation)
  assert.isTrue(found.every(({ opcode, rsv }, i) => i === 0 || (rsv === 0 && opcode === Opcode.Continuation)))
  const bytes = concat(found.map((frame) => frame.payload))
  const compressed = found[0]?.rsv === 4
  return { data: Buffer.from(compressed ? await peer.decompress(bytes) : bytes).toString(), compressed }
}

const sizes = [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072]

describe("12: sizes and fragments", () => {
  for (const role of roles) {
    it.each([Number.MAX_SAFE_INTEGER, 256, 1024, 4096, 32768])(
      `fragments of at most %i, as ${role}`,
      async (maxFrameSize) => {
        const connection = endpoint(role, { ...options, maxFrameSize })
        const { inbound, outbound } = agreed.agreement
        const peer = livePeer(inbound, outbound)
        for (const size of sizes) {
          for (let round = 0; round < 3; round++) {
            const data = json(size, round * 1000)
            const echoed = await exchange(role, connection, peer, data, maxFrameSize)
            assert.strictEqual(echoed.data, data)
            assert.strictEqual(echoed.compressed, Buffer.byteLength(data) >= 1024)
          }
        }
        assert.strictEqual(connection.phase, "Open")
      }
    )
  }
})

describe("13: parameters", () => {
  const windows = [undefined, 9, 15]
  for (const role of roles) {
    for (const noContextTakeover of [false, true]) {
      for (const bits of windows) {
        it(`window ${bits}, ${noContextTakeover ? "without" : "with"} context takeover, as ${role}`, async () => {
          const parameters: PermessageDeflate.Parameters = {
            serverNoContextTakeover: noContextTakeover,
            clientNoContextTakeover: noContextTakeover,
            serverMaxWindowBits: bits,
            clientMaxWindowBits: bits ?? true
          }
          const both = compression(parameters, { serverMaxWindowBits: 15, clientMaxWindowBits: 15 })
          const connection = endpoint(role, { compression: both[role] })
          const { inbound, outbound } = both[peerOf(role)].agreement
          const peer = livePeer(outbound, inbound)
          for (const size of sizes) {
            const data = json(size, size)
            assert.strictEqual((await exchange(role, connection, peer, data, 1000)).data, data)
          }
        })
      }
    }
  }
})

// -------------------------------------------------------------------------------------------------------------------
// Properties
// -------------------------------------------------------------------------------------------------------------------

describe("properties", () => {
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.tuple(fc.nat({ max: 600 }), fc.nat()).map(([length, seed]) => deflated(arbitraries.noise(length, seed))),
    arbitraries.text.map((data) => deflated(data))
  )
  const frame: fc.Arbitrary<Frame> = fc.oneof(
    fc.tuple(payload, fc.boolean(), fc.boolean(), fc.boolean()).map(([data, isText, fin, compressed]) => {
      const options = { fin, rsv: compressed ? 4 : 0 }
      return isText ? text(data, options) : binary(data, options)
    }),
    fc.tuple(payload, fc.boolean()).map(([data, fin]) => continuation(data, { fin })),
    arbitraries.controlPayload.map(ping)
  )

  const eventsOf = (role: Role, chunks: ReadonlyArray<Uint8Array>): string => {
    const connection = endpoint(role, options)
    const events: Array<Connection.Event> = []
    for (const chunk of chunks) events.push(...connection.receive(chunk), ...connection.settle())
    return JSON.stringify(events.map(plainEvent))
  }

  for (const role of roles) {
    it(`any split gives the same events, as ${role}`, () => {
      fc.assert(
        fc.property(fc.array(frame, { maxLength: 6 }), arbitraries.cuts, (input, places) => {
          const bytes = sentTo(role, ...input)
          assert.strictEqual(eventsOf(role, arbitraries.split(bytes, places)), eventsOf(role, [bytes]))
        })
      )
    })

    it(`random bytes with RSV1 never throw, as ${role}`, () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), fc.boolean(), (payloads, isText) => {
          for (const data of payloads) {
            const connection = endpoint(role, options)
            const message = (isText ? text : binary)(data, rsv1)
            for (const event of connection.receive(sentTo(role, message))) {
              if (event._tag === "Ended") assert.include(["Protocol_error", "Payload_too_large"], event.error._tag)
            }
          }
        })
      )
    })
  }
})
