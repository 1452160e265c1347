/**
 * The work for the input of a peer is proportional to its size, at n, 2n and 4n. docs/security.md lists the threats
 * behind this.
 */
import { assertLinear, workOf } from "../work.js"
import * as Compressor from "@effect-websocket/protocol/Compressor"
import * as Connection from "@effect-websocket/protocol/Connection"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Message from "@effect-websocket/protocol/Message"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import { zlib } from "@effect-websocket/platform/node/NodeZlib"
import { deflateRawSync, constants } from "node:zlib"
import { assert, describe, it, vi } from "vitest"
import { bothRoles, type Role } from "../../src/Role.js"
import { key } from "../../src/clauses/make.js"
import {
  binary,
  close,
  concat,
  continuation,
  fromHex,
  ping,
  rsv1,
  sentTo,
  text,
  unfinished,
  type Frame
} from "../../src/Frame.js"

vi.mock(import("../../../../packages/protocol/src/internal/utf8.node.js"), async (original) =>
  (await import("../work.js")).countingUtf8(original)
)

const noLimits = { maxFragments: 1e9, maxMessageBytes: 5e8 }

const endpoint = (role: Role, options: Omit<Connection.Options, "role" | "maskKey"> = {}) =>
  role === "server" ? Connection.make({ ...options, role }) : Connection.make({ ...options, role, maskKey: () => 1 })

/** Reads bytes in chunks, and takes the output after each. */
const reads =
  (role: Role, chop: number, owned: boolean, options?: Omit<Connection.Options, "role" | "maskKey">) =>
  (input: Uint8Array) => {
    const chunks: Array<Uint8Array> = []
    for (let start = 0; start < input.length; start += chop) chunks.push(input.slice(start, start + chop))
    return () => {
      const connection = endpoint(role, options)
      for (const chunk of chunks) {
        connection.receive(chunk, owned)
        connection.takeOutput()
        connection.recycleOutput()
      }
    }
  }

const many = (n: number, frame: Frame): ReadonlyArray<Frame> => Array.from({ length: n }, () => frame)
const letters = (n: number) => text("a€".repeat(n / 2))
const parts = (n: number, first: Frame, part: Frame): ReadonlyArray<Frame> => [first, ...many(n, part), continuation()]

const floods: ReadonlyArray<readonly [name: string, n: number, input: (n: number) => ReadonlyArray<Frame>]> = [
  ["a message of text", 1000, (n) => [letters(n)]],
  ["a message of bytes", 1000, (n) => [binary(new Uint8Array(n))]],
  ["fragments of one byte", 400, (n) => parts(n, binary("x", unfinished), continuation("x", unfinished))],
  [
    "fragments of text that cut every character",
    500,
    (n) => parts(n, text("", unfinished), continuation("xx", unfinished))
  ],
  ["empty fragments", 400, (n) => parts(n, text("", unfinished), continuation("", unfinished))],
  ["messages of one byte", 400, (n) => many(n, text("x"))],
  ["empty messages", 400, (n) => many(n, binary())],
  ["pings", 250, (n) => many(n, ping("x".repeat(125)))],
  ["pings inside a fragmented message", 250, (n) => [text("x", unfinished), ...many(n, ping("x")), continuation()]],
  ["Closes", 1000, (n) => [close(1000), ...many(n, close(1000))]]
]

describe("counting", () => {
  it("detects quadratic work", () => {
    // Joins each part with all earlier ones, which GrowingBuffer avoids.
    const joining = (n: number) => () => {
      let all = new Uint8Array(0)
      for (let i = 0; i < n; i++) {
        const next = new Uint8Array(all.length + 1)
        next.set(all)
        all = next
        HeaderField.isToken("x")
      }
    }
    assert.throws(() => assertLinear(200, joining))
  })

  it("detects a loop in this library's code", () => {
    const steps = (n: number) => workOf(() => HeaderField.isToken("a".repeat(n)))
    assert.isAtLeast(steps(1000), 1000)
  })
})

for (const role of bothRoles) {
  describe(`linear work, as ${role}`, () => {
    for (const [name, n, input] of floods) {
      it(`${name}, in one chunk, in chunks of 100 bytes and byte by byte`, () => {
        for (const [chop, owned] of [
          [1e9, true],
          [1e9, false],
          [100, false],
          [1, true],
          [1, false]
        ] as const) {
          const read = reads(role, chop, owned, { limits: noLimits })
          assertLinear(n, (size) => read(sentTo(role, input(size))), `chunks of ${chop}, owned: ${owned}`)
        }
      })
    }

    it("fragments that are delivered as streams and as frames", () => {
      for (const delivery of ["streams", "frames"] as const) {
        const read = reads(role, 100, false, { limits: noLimits, delivery })
        assertLinear(
          1000,
          (n) => read(sentTo(role, parts(n, text("x", unfinished), continuation("x", unfinished)))),
          delivery
        )
      }
    })

    it("a message that is sent in parts", () => {
      // So much that it makes no difference how full the pool of output blocks was before.
      assertLinear(20_000, (n) => () => {
        const connection = endpoint(role, { maxFrameSize: 10 })
        connection.send(Message.binary(new Uint8Array(n * 10)))
        connection.send(Message.text("€".repeat(n)))
        for (let i = 0; i < n; i++) connection.sendFragment("x", false)
      })
    })
  })
}

describe("linear work, compressed", () => {
  const deflated = (data: Uint8Array) =>
    Uint8Array.from(deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4))
  const settings = PermessageDeflate.resolve({ serverMaxWindowBits: 15, clientMaxWindowBits: 15 })
  const agreement = PermessageDeflate.accept([Extension.make("permessage-deflate")], settings)!

  it("fragments of a compressed message", () => {
    const payload = deflated(new Uint8Array(1000))
    const read = reads("server", 100, false, { limits: noLimits, compression: { agreement, settings, zlib } })
    assertLinear(1000, (n) =>
      read(
        sentTo("server", [
          binary("", { ...rsv1, fin: false }),
          ...many(n, continuation("", unfinished)),
          continuation(payload)
        ])
      )
    )
  })

  it("inflates at most once for each final block of a message, of which there are at most 1,024", () => {
    const finals = (n: number) => concat(Array.from({ length: n }, () => fromHex("f348cdc9c9070000")))
    let calls = 0
    const counting: Compressor.Zlib = {
      ...zlib,
      inflate: (data, options) => {
        calls++
        return zlib.inflate(data, options)
      }
    }
    const compressor = new Compressor.Compressor({ agreement, settings, zlib: counting })
    for (const [n, expected] of [
      [10, 10],
      [20, 20],
      [1500, 1024]
    ] as const) {
      calls = 0
      const input = finals(n)
      compressor.inflate(input, 0, input.length, 1e6)
      assert.isAtMost(calls, expected)
    }
  })
})

describe("linear work, the headers of the handshake", () => {
  const repeat = (unit: string) => (n: number) => unit.repeat(Math.ceil(n / unit.length))
  const hostile: ReadonlyArray<readonly [name: string, make: (n: number) => string]> = [
    ["a token", repeat("a")],
    ["spaces", (n) => `a${" ".repeat(n)}b`],
    ["commas", repeat(",")],
    ["tabs and commas", repeat("\t,")],
    ["elements", repeat("a,")],
    ["parameters", (n) => `a${repeat(";b")(n)}`],
    ["an unclosed quote", (n) => `a;b="${"c".repeat(n)}`],
    ["an unclosed quote of backslashes", (n) => `a;b="${"\\".repeat(n)}`],
    ["offers", repeat("permessage-deflate; client_max_window_bits, ")],
    ["illegal offers", repeat("permessage-deflate; x, ")],
    ["a header that fails at its very end", (n) => `${repeat("a;b=c,")(n)};`]
  ]

  it.each(hostile)("a request with %s", (_, make) => {
    const names = [
      "upgrade",
      "connection",
      "sec-websocket-protocol",
      "sec-websocket-extensions",
      "sec-websocket-key",
      "origin"
    ]
    const headers = {
      host: "a",
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-key": key,
      "sec-websocket-version": "13"
    }
    for (const name of names) {
      assertLinear(
        2000,
        (n) => {
          const value = make(n)
          return () => {
            Handshake.checkRequest({
              method: "GET",
              url: "/",
              httpVersion: "1.1",
              headers: { ...headers, [name]: value }
            })
            Handshake.checkResponse(
              {
                status: 101,
                headers: { ...headers, "sec-websocket-accept": Handshake.acceptValue(key), [name]: value }
              },
              { key }
            )
          }
        },
        name
      )
    }
  })

  it.each(hostile)("the parsers, with %s", (_, make) => {
    const settings = PermessageDeflate.resolve()
    for (const parse of [
      (value: string) => Subprotocol.parse([value]),
      (value: string) => {
        const offers = Extension.parse([value])
        if (Array.isArray(offers)) PermessageDeflate.accept(offers, settings)
      }
    ]) {
      assertLinear(2000, (n) => {
        const value = make(n)
        return () => parse(value)
      })
    }
  })

  it("headers on many lines", () => {
    assertLinear(500, (n) => {
      const lines = Array.from({ length: n }, (_, i) => `p${10_000 + i}`)
      return () => {
        Subprotocol.parse(lines)
        Extension.parse(lines)
      }
    })
  })
})
