import { assert, describe, it } from "vitest"
import * as Connection from "@effect-websocket/protocol/Connection"
import { ConnectionClosed, IoError, PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Frame } from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as Message from "@effect-websocket/protocol/Message"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as fc from "fast-check"
import * as Any from "./arbitraries.js"
import {
  binary,
  borrowed,
  close,
  closed,
  continuation,
  drain,
  endpoint,
  latin1,
  mutable,
  owned,
  peerOf,
  ping,
  plainError,
  plainEvent,
  pong,
  roles,
  sentTo,
  show,
  shown,
  text,
  unfinished,
  violated,
  type End,
  type Endpoint,
  type Ownership,
  type Plain,
  type Role
} from "./endpoints.js"
import { concat, utf8 } from "./support.js"
import { zlib } from "./zlib.js"

const receive = (connection: Connection.Connection, ...input: ReadonlyArray<Frame>) =>
  connection.receive(sentTo(connection.role, ...input)).map(plainEvent)

const wire = (...output: ReadonlyArray<Frame>) => output.map(show)

const closedError = (code: number, reason: string, initiator: string, clean: boolean): Plain => ({
  _tag: "Connection_closed",
  code,
  reason,
  initiator,
  clean
})

const inboundLimit = (limit: string, max: number, size: number | undefined): Plain => ({
  _tag: "Payload_too_large",
  limit,
  max,
  size,
  direction: "inbound"
})

const reset = new IoError({ reason: "Reset", operation: "read" })
const resetError = plainError(reset)
const localFragment = new ProtocolError({
  origin: "local",
  description: "A message cannot begin inside a fragmented one",
  section: "RFC 6455 §5.4",
  closeCode: undefined
})
const rsvEnd = violated(1002, "5.2", "A reserved bit is set that no extension gave a meaning")

const assertError = (error: Connection.SendError | undefined, expected: Plain, message?: string): void => {
  assert.isDefined(error, message)
  assert.deepStrictEqual(plainError(error), expected, message)
}

/** Phase, outputEnded and closeExpected. */
const state = ({ closeExpected, outputEnded, phase }: Connection.Connection) => ({ phase, outputEnded, closeExpected })

const open = { phase: "Open", outputEnded: false, closeExpected: false }
const over = { phase: "Closed", outputEnded: true, closeExpected: false }
const closing = (outputEnded: boolean) => ({ phase: "Closing", outputEnded, closeExpected: true })

const sends: ReadonlyArray<readonly [string, (c: Connection.Connection) => Connection.SendError | undefined]> = [
  ["send text", (c) => c.send(Message.text("x"))],
  ["send binary", (c) => c.send(Message.binary(new Uint8Array(3)))],
  ["sendFragment", (c) => c.sendFragment("x", true)],
  ["ping", (c) => c.ping()],
  ["ping that is too long", (c) => c.ping(new Uint8Array(126))],
  ["pong", (c) => c.pong()]
]

const endings: ReadonlyArray<{
  readonly name: string
  readonly end: (c: Connection.Connection) => ReadonlyArray<Connection.Event>
  readonly error: Plain
  readonly written: ReadonlyArray<Frame>
  readonly state: (role: Role) => object
  readonly status: Connection.CloseStatus
}> = [
  {
    name: "the peer's Close",
    end: (c) => c.receive(sentTo(c.role, close(1001, "bye"))),
    error: closedError(1001, "bye", "remote", true),
    written: [close(1001)],
    state: (role) => closing(role === "server"),
    status: {
      sent: { code: 1001, reason: "" },
      received: { code: 1001, reason: "bye" },
      initiator: "remote",
      clean: true
    }
  },
  {
    name: "an empty Close of the peer",
    end: (c) => c.receive(sentTo(c.role, close())),
    error: closedError(1005, "", "remote", true),
    written: [close()],
    state: (role) => closing(role === "server"),
    status: { sent: { code: 1005, reason: "" }, received: { code: 1005, reason: "" }, initiator: "remote", clean: true }
  },
  {
    name: "a completed local close",
    end: (c) => {
      c.close(1000, "done")
      return c.receive(sentTo(c.role, close(1001)))
    },
    error: closedError(1000, "done", "local", true),
    written: [close(1000, "done")],
    state: (role) => closing(role === "server"),
    status: {
      sent: { code: 1000, reason: "done" },
      received: { code: 1001, reason: "" },
      initiator: "local",
      clean: true
    }
  },
  {
    name: "a violation",
    end: (c) => c.receive(sentTo(c.role, text("x", { rsv: 4 }))),
    error: rsvEnd.error,
    written: [rsvEnd.close],
    state: () => closing(true),
    status: {
      sent: { code: 1002, reason: latin1(rsvEnd.close.payload.subarray(2)).replace("\xc2\xa7", "§") },
      received: undefined,
      initiator: "local",
      clean: false
    }
  },
  {
    name: "a violation while closing",
    end: (c) => {
      c.close()
      return c.receive(sentTo(c.role, text("x", { rsv: 4 })))
    },
    // Its code could not be sent any more.
    error: { ...rsvEnd.error, closeCode: undefined },
    written: [close()],
    state: () => closing(true),
    status: { sent: { code: 1005, reason: "" }, received: undefined, initiator: "local", clean: false }
  },
  {
    name: "fail",
    end: (c) => c.fail(1011, reset),
    error: resetError,
    written: [close(1011)],
    state: () => closing(true),
    status: { sent: { code: 1011, reason: "" }, received: undefined, initiator: "local", clean: false }
  },
  {
    name: "fail while closing",
    end: (c) => {
      c.close(1000)
      return c.fail(1011, reset)
    },
    error: resetError,
    written: [close(1000)],
    state: () => closing(true),
    status: { sent: { code: 1000, reason: "" }, received: undefined, initiator: "local", clean: false }
  },
  {
    name: "fail with a code that may not travel",
    end: (c) => c.fail(1006, reset),
    error: resetError,
    written: [close()],
    state: () => closing(true),
    status: { sent: { code: 1005, reason: "" }, received: undefined, initiator: "local", clean: false }
  },
  {
    name: "end of input",
    end: (c) => c.receiveEof(),
    error: closedError(1006, "", "remote", false),
    written: [],
    state: () => over,
    status: { sent: undefined, received: undefined, initiator: "remote", clean: false }
  },
  {
    name: "end of input while closing",
    end: (c) => {
      c.close(1000)
      return c.receiveEof()
    },
    error: closedError(1006, "", "local", false),
    written: [close(1000)],
    state: () => over,
    status: { sent: { code: 1000, reason: "" }, received: undefined, initiator: "local", clean: false }
  },
  {
    name: "abort",
    end: (c) => c.abort(reset),
    error: resetError,
    written: [],
    state: () => over,
    status: { sent: undefined, received: undefined, initiator: undefined, clean: false }
  },
  {
    name: "abort while closing",
    end: (c) => {
      c.close(1000)
      return c.abort(reset)
    },
    error: resetError,
    written: [close(1000)],
    state: () => over,
    status: { sent: { code: 1000, reason: "" }, received: undefined, initiator: "local", clean: false }
  }
]

for (const role of roles) {
  describe(`the state machine, as ${role}`, () => {
    it("begins open", () => {
      const connection = endpoint(role)
      assert.strictEqual(connection.role, role)
      assert.deepStrictEqual(state(connection), open)
      assert.isFalse(connection.unsettled)
      assert.isUndefined(connection.error)
      assert.deepStrictEqual(connection.takeOutput(), [])
      assert.deepStrictEqual(connection.settle(), [])
      assert.deepStrictEqual(connection.closeStatus, {
        sent: undefined,
        received: undefined,
        initiator: undefined,
        clean: false
      })
    })

    it("performs the closing handshake that it begins", () => {
      const connection = endpoint(role)
      assert.isUndefined(connection.close(1000, "bye"))
      assert.deepStrictEqual(state(connection), closing(false))
      assert.isUndefined(connection.error)
      assert.deepStrictEqual(drain(connection), wire(close(1000, "bye")))
      assert.deepStrictEqual(receive(connection, close(1000)), [closedError(1000, "bye", "local", true)])
      assert.deepStrictEqual(drain(connection), [])
      // RFC 6455 §7.1.1: the server ends TCP first, the client waits for it.
      assert.deepStrictEqual(state(connection), closing(role === "server"))
      assert.deepStrictEqual(connection.receiveEof(), [])
      assert.deepStrictEqual(state(connection), over)
    })

    for (const ending of endings) {
      it(`ends exactly once after ${ending.name}, and nothing has an effect afterwards`, () => {
        const connection = endpoint(role)
        const events = ending.end(connection)
        assert.deepStrictEqual(events.map(plainEvent), [ending.error])
        const [event] = events
        const error = event?._tag === "Ended" ? event.error : undefined
        assert.deepStrictEqual(state(connection), ending.state(role))
        assert.deepStrictEqual(connection.closeStatus, ending.status)
        assert.deepStrictEqual(drain(connection), wire(...ending.written))

        const unchanged = () => {
          assert.strictEqual(connection.error, error)
          for (const [name, send] of sends) assert.strictEqual(send(connection), error, name)
          assert.isUndefined(connection.close(4000))
          assert.deepStrictEqual(receive(connection, text("late"), ping(), close(4001)), [])
          assert.deepStrictEqual(connection.settle(), [])
          assert.isFalse(connection.unsettled)
          assert.deepStrictEqual(connection.closeStatus, ending.status)
          assert.strictEqual(connection.outputBytes, 0)
        }
        unchanged()
        assert.deepStrictEqual(connection.fail(1011, new IoError({ reason: "Timeout", operation: "close" })), [])
        assert.isTrue(connection.outputEnded)
        unchanged()
        for (let i = 0; i < 2; i++) {
          assert.deepStrictEqual(connection.receiveEof(), [])
          assert.deepStrictEqual(state(connection), over)
          unchanged()
        }
        assert.deepStrictEqual(connection.abort(new IoError({ reason: "Timeout", operation: "close" })), [])
        unchanged()
      })

      it(`abort after ${ending.name} only closes`, () => {
        const connection = endpoint(role)
        ending.end(connection)
        const { error } = connection
        assert.deepStrictEqual(connection.abort(new IoError({ reason: "Timeout", operation: "close" })), [])
        assert.deepStrictEqual(state(connection), over)
        assert.strictEqual(connection.error, error)
        assert.deepStrictEqual(connection.closeStatus, ending.status)
      })
    }

    it("close is idempotent", () => {
      const connection = endpoint(role)
      assert.isUndefined(connection.close(1001, "first"))
      assert.isUndefined(connection.close(1000, "second"))
      assert.isUndefined(connection.close())
      assert.deepStrictEqual(drain(connection), wire(close(1001, "first")))
      assert.deepStrictEqual(connection.closeStatus.sent, { code: 1001, reason: "first" })
    })

    it("refuses to send while closing, with the code and reason of the Close that it sent", () => {
      const connection = endpoint(role)
      connection.close(3000, "bye")
      drain(connection)
      for (const [name, send] of sends) {
        assertError(send(connection), closedError(3000, "bye", "local", false), name)
      }
      assert.strictEqual(connection.outputBytes, 0)
    })

    it("delivers what arrives while closing, and answers no ping", () => {
      const connection = endpoint(role)
      connection.close(1000)
      drain(connection)
      assert.deepStrictEqual(receive(connection, text("a"), ping("p"), text("b"), close(1000), text("c")), [
        "Text a",
        "Ping p",
        "Text b",
        closedError(1000, "", "local", true)
      ])
      assert.isFalse(connection.unsettled)
      assert.deepStrictEqual(drain(connection), [])
    })

    it("delivers messages before a violation while closing", () => {
      const connection = endpoint(role)
      connection.close(1000)
      assert.deepStrictEqual(receive(connection, text("a"), text("b", { rsv: 1 })), [
        "Text a",
        { ...rsvEnd.error, closeCode: undefined }
      ])
      assert.isFalse(connection.unsettled)
    })

    const illegal = { _tag: "Protocol_error", origin: "local", closeCode: undefined }
    const refusals: ReadonlyArray<readonly [code: number | undefined, reason: string, expected: Plain]> = [
      ...[0, -1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 66536, 1000.5, NaN, Infinity].map(
        (code) =>
          [
            code,
            "reason",
            { ...illegal, description: `The close code ${code} may not be sent`, section: "RFC 6455 §7.4" }
          ] as const
      ),
      [undefined, "x", { ...illegal, description: "A close reason needs a close code", section: "RFC 6455 §5.5.1" }],
      [
        1000,
        "é".repeat(62),
        { _tag: "Payload_too_large", limit: "closeReason", max: 123, size: 124, direction: "outbound" }
      ]
    ]
    for (const [code, reason, expected] of refusals) {
      it(`refuses to close with ${code} and a reason of ${reason.length} characters, and stays open`, () => {
        const connection = endpoint(role)
        assertError(connection.close(code, reason), expected)
        assert.deepStrictEqual(state(connection), open)
        assert.strictEqual(connection.outputBytes, 0)
        assert.isUndefined(connection.send(Message.text("still open")))
        assert.isUndefined(connection.close(1000, "é".repeat(61) + "x"))
        assert.deepStrictEqual(drain(connection), wire(text("still open"), close(1000, "é".repeat(61) + "x")))
      })
    }

    it("refuses pings and pongs above 125 bytes, and stays open", () => {
      const connection = endpoint(role)
      const expected = {
        _tag: "Payload_too_large",
        limit: "controlPayload",
        max: 125,
        size: 126,
        direction: "outbound"
      }
      assertError(connection.ping(new Uint8Array(126)), expected)
      assertError(connection.pong(new Uint8Array(126)), expected)
      assert.strictEqual(connection.outputBytes, 0)
      const full = new Uint8Array(125).fill(7)
      assert.isUndefined(connection.ping(full))
      assert.isUndefined(connection.pong(full))
      assert.isUndefined(connection.ping())
      assert.deepStrictEqual(drain(connection), wire(ping(full), pong(full), ping()))
      assert.deepStrictEqual(state(connection), open)
    })

    const violation = new ProtocolError({ origin: "remote", description: "Bad", section: "RFC 0", closeCode: 1002 })
    const tooLarge = new PayloadTooLarge({ limit: "message", max: 1, size: 2, direction: "inbound" })
    // A reason above 123 bytes is left out.
    const reasons: ReadonlyArray<readonly [error: Connection.SendError, reason: string]> = [
      [violation, "Bad (RFC 0)"],
      [new ProtocolError({ ...violation, description: "é".repeat(58) }), ""],
      [new ProtocolError({ ...violation, description: "é".repeat(57) + "x" }), `${"é".repeat(57)}x (RFC 0)`],
      [tooLarge, tooLarge.message],
      [new ConnectionClosed({ code: 1001, reason: "secret", initiator: "local", clean: false }), ""]
    ]
    for (const [error, reason] of reasons) {
      it(`fail sends the peer a reason for ${error._tag}: "${reason}"`, () => {
        const connection = endpoint(role)
        assert.deepStrictEqual(connection.fail(1002, error), [new Connection.Ended(error)])
        assert.strictEqual(connection.error, error)
        assert.deepStrictEqual(drain(connection), wire(close(1002, reason)))
      })
    }

    it("returns no further events after the last one, however often the input ends", () => {
      const connection = endpoint(role)
      receive(connection, close(1000))
      const chunk = sentTo(role, text("late"))
      const before = chunk.slice()
      assert.deepStrictEqual(connection.receive(chunk, true), [])
      assert.deepStrictEqual(chunk, before)
    })
  })

  describe(`a Close or violation behind messages, as ${role}`, () => {
    const limits = { maxMessageBytes: 10 }
    const kinds: ReadonlyArray<readonly [name: string, bad: Frame, end: End, clean: boolean]> = [
      ["Close", close(1001, "bye"), closed(1001, "bye"), true],
      ["violation", text("x", { rsv: 2 }), rsvEnd, false],
      [
        "limit",
        binary(new Uint8Array(11)),
        {
          close: close(1009, "The message has 11 bytes; `limits.maxMessageBytes` allows 10"),
          error: inboundLimit("message", 10, 11)
        },
        false
      ]
    ]
    for (const [name, bad, end, clean] of kinds) {
      const unsettled = () => {
        const connection = endpoint(role, { limits })
        const events = receive(connection, text("a"), ping("p"), binary("b"), bad, text("c"), close(1000))
        assert.deepStrictEqual(events, ["Text a", "Ping p", "Binary b"])
        assert.isTrue(connection.unsettled)
        assert.deepStrictEqual(state(connection), open)
        assert.isUndefined(connection.error)
        assert.isUndefined(connection.send(Message.text("answer")))
        return connection
      }
      const settled = (connection: Connection.Connection) => {
        assert.isFalse(connection.unsettled)
        assert.deepStrictEqual(connection.settle(), [])
        assert.deepStrictEqual(drain(connection), wire(pong("p"), text("answer"), end.close))
        assert.strictEqual(connection.closeStatus.clean, clean)
      }

      it(`${name}: takes effect when it is settled`, () => {
        const connection = unsettled()
        assert.isUndefined(connection.ping(utf8("too")))
        assert.deepStrictEqual(receive(connection, text("d"), ping("late")), [])
        assert.deepStrictEqual(drain(connection), wire(pong("p"), text("answer"), ping("too")))
        assert.isUndefined(connection.send(Message.text("answer")))
        assert.deepStrictEqual(connection.settle().map(plainEvent), [end.error])
        assert.isFalse(connection.unsettled)
        assert.deepStrictEqual(connection.settle(), [])
        assert.deepStrictEqual(drain(connection), wire(text("answer"), end.close))
        assert.deepStrictEqual(state(connection), closing(!clean || role === "server"))
      })

      it(`${name}: takes effect at the end of input`, () => {
        const connection = unsettled()
        assert.deepStrictEqual(connection.receiveEof().map(plainEvent), [end.error])
        assert.deepStrictEqual(state(connection), over)
        settled(connection)
      })

      it(`${name}: takes effect before an abort`, () => {
        const connection = unsettled()
        assert.deepStrictEqual(connection.abort(reset).map(plainEvent), [end.error])
        assert.deepStrictEqual(state(connection), over)
        settled(connection)
      })

      it(`${name}: takes effect before a failure`, () => {
        const connection = unsettled()
        assert.deepStrictEqual(connection.fail(1011, reset).map(plainEvent), [end.error])
        assert.deepStrictEqual(state(connection), closing(true))
        settled(connection)
      })

      it(`${name}: takes effect at once if only control frames came before it`, () => {
        const connection = endpoint(role, { limits })
        assert.deepStrictEqual(receive(connection, ping("p"), pong("q"), bad, text("c")), [
          "Ping p",
          "Pong q",
          end.error
        ])
        assert.isFalse(connection.unsettled)
        assert.deepStrictEqual(drain(connection), wire(pong("p"), end.close))
      })

      it(`${name}: takes effect at once if it comes in a later chunk`, () => {
        const connection = endpoint(role, { limits })
        assert.deepStrictEqual(receive(connection, text("a")), ["Text a"])
        assert.isFalse(connection.unsettled)
        assert.deepStrictEqual(receive(connection, bad), [end.error])
      })

      it(`${name}: waits for \`settle\` also in a later chunk if it shall settle late`, () => {
        const connection = endpoint(role, { limits })
        connection.settlesLate = true
        receive(connection, text("a"))
        assert.deepStrictEqual(receive(connection, bad), [])
        assert.isTrue(connection.unsettled)
        assert.isUndefined(connection.send(Message.text("answer")))
        assert.deepStrictEqual(connection.settle().map(plainEvent), [end.error])
        assert.deepStrictEqual(drain(connection), wire(text("answer"), end.close))
      })
    }

    it("close answers a waiting Close with the code that the app passed", () => {
      const connection = endpoint(role)
      receive(connection, text("a"), close(1001, "bye"))
      assert.isUndefined(connection.close(4000, "mine"))
      for (const [, send] of sends) assertError(send(connection), closedError(4000, "mine", "remote", false))
      assert.isTrue(connection.unsettled)
      assert.deepStrictEqual(connection.settle().map(plainEvent), [closedError(1001, "bye", "remote", true)])
      assert.deepStrictEqual(drain(connection), wire(close(4000, "mine")))
      assert.deepStrictEqual(connection.closeStatus, {
        sent: { code: 4000, reason: "mine" },
        received: { code: 1001, reason: "bye" },
        initiator: "remote",
        clean: true
      })
    })

    it("close does not replace the code of a waiting violation", () => {
      const connection = endpoint(role)
      receive(connection, text("a"), text("b", { rsv: 1 }))
      assert.isUndefined(connection.close(1000))
      assert.deepStrictEqual(state(connection), open)
      assert.isUndefined(connection.send(Message.text("c")))
      assert.deepStrictEqual(connection.settle().map(plainEvent), [rsvEnd.error])
      assert.deepStrictEqual(drain(connection), wire(text("c"), rsvEnd.close))
    })
  })

  describe(`pings, as ${role}`, () => {
    const numbered = (count: number) => Array.from({ length: count }, (_, i) => ping(`${i}`))

    it("answers ten pings one by one", () => {
      const connection = endpoint(role)
      assert.lengthOf(receive(connection, ...numbered(10)), 10)
      assert.deepStrictEqual(
        drain(connection),
        numbered(10).map(({ payload }) => show(pong(payload)))
      )
    })

    it("counts the pong that waits in place of others", () => {
      const connection = endpoint(role, { limits: { maxBufferedControlFrames: 1 } })
      connection.receive(sentTo(role, ping("a"), ping("bc"), ping("d".repeat(125))))
      const { outputBytes } = connection
      assert.strictEqual(concat(connection.takeOutput()).length, outputBytes)
      assert.strictEqual(connection.outputBytes, 0)
    })

    it("answers only the newest ping beyond the limit, and counts again after each take", () => {
      const connection = endpoint(role, { limits: { maxBufferedControlFrames: 3 } })
      for (let i = 0; i < 3; i++) {
        receive(connection, ...numbered(6))
        receive(connection, ...numbered(10))
        assert.deepStrictEqual(drain(connection), wire(pong("0"), pong("1"), pong("2"), pong("9")))
        assert.deepStrictEqual(drain(connection), [])
      }
      receive(connection, ...numbered(3))
      assert.deepStrictEqual(drain(connection), wire(pong("0"), pong("1"), pong("2")))
    })

    it("holds a bounded output under a flood", () => {
      const connection = endpoint(role)
      const flood = sentTo(role, ...Array.from({ length: 1000 }, (_, i) => ping(new Uint8Array(125).fill(i))))
      for (let i = 0; i < 10; i++) assert.lengthOf(connection.receive(flood), 1000)
      const frameBytes = 125 + (role === "client" ? 6 : 2)
      assert.strictEqual(connection.outputBytes, 33 * frameBytes)
      const written = drain(connection)
      assert.lengthOf(written, 33)
      assert.strictEqual(written[32], show(pong(new Uint8Array(125).fill(999))))
    })

    it("sends a waiting pong before the Close, and none after it", () => {
      const expected = (last: Frame) => wire(pong("0"), pong("1"), pong("4"), last)
      const limits = { maxBufferedControlFrames: 2 }

      const local = endpoint(role, { limits })
      receive(local, ...numbered(5))
      local.close(1000)
      receive(local, ...numbered(9))
      assert.deepStrictEqual(drain(local), expected(close(1000)))
      assert.deepStrictEqual(drain(local), [])

      const remote = endpoint(role, { limits })
      receive(remote, ...numbered(5), close(1001), ping("late"))
      assert.deepStrictEqual(drain(remote), expected(close(1001)))
      assert.deepStrictEqual(drain(remote), [])

      const broken = endpoint(role, { limits })
      receive(broken, ...numbered(5), text("x", { rsv: 1 }), ping("late"))
      assert.deepStrictEqual(drain(broken), expected(rsvEnd.close))
      assert.deepStrictEqual(drain(broken), [])
    })

    it("passes ownership of a ping's payload to the receiver of the event", () => {
      const connection = endpoint(role, { limits: { maxBufferedControlFrames: 1 } })
      for (const event of connection.receive(sentTo(role, ping("one"), ping("two")))) {
        assert.isTrue(event._tag === "Ping")
        if (event._tag === "Ping") event.data.fill(0)
      }
      assert.deepStrictEqual(drain(connection), wire(pong("one"), pong("two")))
    })
  })

  describe(`fragments, as ${role}`, () => {
    it("cuts messages at maxFrameSize", () => {
      const connection = endpoint(role, { maxFrameSize: 4 })
      const cases: ReadonlyArray<readonly [Message.Message, ReadonlyArray<Frame>]> = [
        [Message.text(""), [text("")]],
        [Message.text("abcd"), [text("abcd")]],
        [Message.text("abcde"), [text("abcd", unfinished), continuation("e")]],
        [Message.text("abcdefgh"), [text("abcd", unfinished), continuation("efgh")]],
        // The limit counts bytes, so a character may be cut.
        [Message.text("a€€"), [text("a€", unfinished), continuation("€")]],
        [Message.text("€€"), [text(utf8("€€").subarray(0, 4), unfinished), continuation(utf8("€€").subarray(4))]],
        [Message.binary(utf8("")), [binary("")]],
        [
          Message.binary(utf8("abcdefghi")),
          [binary("abcd", unfinished), continuation("efgh", unfinished), continuation("i")]
        ]
      ]
      for (const [message, expected] of cases) {
        assert.isUndefined(connection.send(message))
        assert.deepStrictEqual(drain(connection), wire(...expected))
      }
      // Control frames cannot be fragmented.
      connection.ping(utf8("ping ping"))
      assert.deepStrictEqual(drain(connection), wire(ping("ping ping")))
    })

    it("sends a message in parts, with control frames between", () => {
      const connection = endpoint(role)
      assert.isUndefined(connection.sendFragment("a", false))
      assert.isUndefined(connection.ping(utf8("p")))
      receive(connection, ping("q"))
      assert.isUndefined(connection.sendFragment("", false))
      assert.isUndefined(connection.sendFragment("b", true))
      assert.isUndefined(connection.sendFragment(utf8("c"), true))
      assert.isUndefined(connection.sendFragment("", true))
      assert.isUndefined(connection.send(Message.text("d")))
      assert.isUndefined(connection.sendFragment(utf8("e"), false))
      assert.isUndefined(connection.sendFragment(utf8("f"), false))
      assert.isUndefined(connection.close(1000))
      assert.deepStrictEqual(
        drain(connection),
        wire(
          text("a", unfinished),
          ping("p"),
          pong("q"),
          continuation("", unfinished),
          continuation("b"),
          binary("c"),
          text(""),
          text("d"),
          binary("e", unfinished),
          continuation("f", unfinished),
          close(1000)
        )
      )
    })

    it("cuts parts at maxFrameSize", () => {
      const connection = endpoint(role, { maxFrameSize: 2 })
      connection.sendFragment("abc", false)
      connection.sendFragment("def", true)
      assert.deepStrictEqual(
        drain(connection),
        wire(text("ab", unfinished), continuation("c", unfinished), continuation("de", unfinished), continuation("f"))
      )
    })

    const pairs: ReadonlyArray<readonly [parts: ReadonlyArray<string>, frames: ReadonlyArray<string>]> = [
      [
        ["a\ud83d", "\ude00b"],
        ["a", "😀b"]
      ],
      [
        ["\ud83d", "\ude00"],
        ["", "😀"]
      ],
      [
        ["\ud83d", "", "\ude00", ""],
        ["", "", "😀", ""]
      ],
      [
        ["\ud83d", "\ud83d", "\ude00"],
        ["", "\ufffd", "😀"]
      ],
      [
        ["a\ud83d", "b"],
        ["a", "\ufffdb"]
      ],
      [
        ["a\ud83d", ""],
        ["a", "\ufffd"]
      ],
      [
        ["a", "b\ud83d"],
        ["a", "b\ufffd"]
      ],
      [
        ["\ude00", "x"],
        ["\ufffd", "x"]
      ],
      // The first and the last of the halves that come first, and the first of those that come second.
      [
        ["\ud800", "\udc00"],
        ["", "\u{10000}"]
      ],
      [
        ["\udbff", "\udfff"],
        ["", "\u{10ffff}"]
      ],
      [
        ["\udc00", "x"],
        ["\ufffd", "x"]
      ]
    ]
    for (const [parts, expected] of pairs) {
      it(`joins surrogates that parts cut: ${JSON.stringify(parts)}`, () => {
        const connection = endpoint(role)
        parts.forEach((part, i) => assert.isUndefined(connection.sendFragment(part, i === parts.length - 1)))
        const options = (i: number) => (i === parts.length - 1 ? {} : unfinished)
        assert.deepStrictEqual(
          drain(connection),
          expected.map((part, i) => show((i === 0 ? text : continuation)(part, options(i))))
        )
        // Nothing is left over for the next message.
        connection.sendFragment("next", true)
        assert.deepStrictEqual(drain(connection), wire(text("next")))
      })
    }

    it("fails with the closing error, even inside a fragmented message", () => {
      const connection = endpoint(role)
      connection.sendFragment("a", false)
      connection.close(1000)
      assertError(connection.send(Message.text("x")), closedError(1000, "", "local", false))
    })

    it("refuses a message inside a fragmented message, which then continues", () => {
      const refusal = (description: string) => ({
        _tag: "Protocol_error",
        origin: "local",
        description,
        section: "RFC 6455 §5.4",
        closeCode: undefined
      })
      const begin = refusal("A message cannot begin inside a fragmented one")
      const mix = refusal("The parts of one message are either all text or all binary")
      // The first part is half a surrogate pair, of which nothing but the frame's header was sent.
      for (const [first, other, last] of [
        ["\ud83d", utf8("x"), "\ude00"],
        [utf8("x"), "x", utf8("y")]
      ] as const) {
        const connection = endpoint(role)
        assert.isUndefined(connection.sendFragment(first, false))
        drain(connection)
        assertError(connection.send(Message.text("x")), begin)
        assertError(connection.send(Message.binary(utf8("x"))), begin)
        assertError(connection.sendFragment(other, false), mix)
        assertError(connection.sendFragment(other, true), mix)
        assert.strictEqual(connection.outputBytes, 0)
        assert.isUndefined(connection.sendFragment(last, true))
        assert.deepStrictEqual(drain(connection), wire(continuation(typeof last === "string" ? "😀" : last)))
        assert.isUndefined(connection.send(Message.text("z")))
        assert.deepStrictEqual(state(connection), open)
      }
    })
  })

  describe(`compression, as ${role}`, () => {
    const compression = (options?: PermessageDeflate.Options) => ({
      zlib,
      settings: PermessageDeflate.resolve(options),
      agreement: {
        extension: PermessageDeflate.format({}),
        outbound: { windowBits: 12, contextTakeover: true },
        inbound: { windowBits: 12, contextTakeover: true }
      }
    })
    const long = "long ".repeat(300)
    const written = (connection: Connection.Connection) =>
      frames({ role: peerOf(role), rsv: 4 })(concat(connection.takeOutput())).frames

    it("compresses the messages that the settings and the call select", () => {
      const connection = endpoint(role, { compression: compression() })
      const sends: ReadonlyArray<readonly [string, boolean | undefined, number]> = [
        [long, undefined, 4],
        [long, false, 0],
        [long, true, 4],
        ["short short short", undefined, 0],
        ["short short short", true, 4],
        ["", true, 0]
      ]
      for (const [data, compress, rsv] of sends) {
        for (const message of [Message.text(data), Message.binary(utf8(data))]) {
          assert.isUndefined(connection.send(message, compress))
          assert.deepStrictEqual(
            written(connection).map((frame) => [frame.opcode, frame.rsv]),
            [[message._tag === "Text" ? Opcode.Text : Opcode.Binary, rsv]]
          )
        }
      }
    })

    it("compresses nothing if compression was not negotiated", () => {
      const connection = endpoint(role)
      assert.isUndefined(connection.deflation(Message.text(long), true))
      assert.isUndefined(connection.send(Message.text(long), true))
      assert.deepStrictEqual(drain(connection), wire(text(long)))
    })

    it("sets RSV1 on the first fragment only, and not at all on a message in parts", () => {
      const connection = endpoint(role, { compression: compression(), maxFrameSize: 8 })
      connection.send(Message.text(long))
      const found = written(connection)
      assert.isAbove(found.length, 2)
      assert.deepStrictEqual(
        found.map(({ fin, opcode, rsv }) => [fin, opcode, rsv]),
        found.map((_, i) => [i === found.length - 1, i === 0 ? Opcode.Text : Opcode.Continuation, i === 0 ? 4 : 0])
      )
      const peer = endpoint(peerOf(role), { compression: compression() })
      assert.deepStrictEqual(peer.receive(sentTo(peerOf(role), ...found)).map(plainEvent), [`Text ${long}`])
      connection.sendFragment(long, true)
      assert.isTrue(written(connection).every(({ rsv }) => rsv === 0))
    })

    it("sends a message that was deflated elsewhere exactly as one that it deflates itself", () => {
      const connection = endpoint(role, { compression: compression() })
      const peer = endpoint(peerOf(role), { compression: compression() })
      for (const data of [long, `${long}!`, long]) {
        const deflation = connection.deflation(Message.text(data))
        if (deflation === undefined) return assert.fail("not to be deflated")
        assert.isUndefined(connection.sendDeflated(deflation, zlib.deflate(deflation.data, deflation.options)))
        const sent = concat(connection.takeOutput())
        assert.isBelow(sent.length, 100)
        assert.deepStrictEqual(peer.receive(sent).map(plainEvent), [`Text ${data}`])
      }
      const deflation = connection.deflation(Message.text(long))
      assert.isUndefined(connection.sendDeflated(deflation!, undefined))
      assert.deepStrictEqual(drain(connection), wire(text(long)))
    })

    it("refuses a message that was deflated elsewhere in the same cases as send", () => {
      const connection = endpoint(role, { compression: compression() })
      const deflation = connection.deflation(Message.text(long))!
      const deflated = zlib.deflate(deflation.data, deflation.options)
      connection.sendFragment("a", false)
      assertError(connection.sendDeflated(deflation, deflated), plainError(localFragment))
      connection.sendFragment("b", true)
      connection.close(1000)
      assertError(connection.sendDeflated(deflation, deflated), closedError(1000, "", "local", false))
    })

    it("sends nothing after a Close that the app's filter or zlib sends", () => {
      for (const code of ["filter", "zlib"]) {
        const closes = () => {
          connection.close(1000)
          return true
        }
        const { agreement, settings } = compression()
        const connection: Connection.Connection = endpoint(role, {
          compression: {
            agreement,
            settings: code === "filter" ? { ...settings, filter: closes } : settings,
            zlib: code === "zlib" ? { ...zlib, deflate: (...args) => (closes(), zlib.deflate(...args)) } : zlib
          }
        })
        assertError(connection.send(Message.text(long)), closedError(1000, "", "local", false))
        assert.deepStrictEqual(
          written(connection).map(({ opcode }) => opcode),
          [Opcode.Close],
          code
        )
      }
    })

    it("sends nothing into a fragmented message that the app's filter begins", () => {
      const { agreement, settings } = compression()
      for (const passes of [true, false]) {
        const filter = () => {
          connection.sendFragment("a", false)
          return passes
        }
        const connection: Connection.Connection = endpoint(role, {
          compression: { agreement, settings: { ...settings, filter }, zlib }
        })
        assertError(connection.send(Message.text(long)), plainError(localFragment))
        assert.lengthOf(written(connection), 1)
      }
    })

    it("sends messages that can be read if others are sent while the app's zlib deflates", () => {
      let depth = 0
      const connection: Connection.Connection = endpoint(role, {
        compression: {
          ...compression(),
          zlib: {
            ...zlib,
            deflate: (...args) => {
              if (depth++ === 0) connection.send(Message.text(`${long} inner`))
              return zlib.deflate(...args)
            }
          }
        }
      })
      const peer = endpoint(peerOf(role), { compression: compression() })
      connection.send(Message.text(`${long} outer`))
      connection.send(Message.text(long))
      const stale = connection.deflation(Message.text(long))!
      const deflated = zlib.deflate(stale.data, stale.options)
      connection.send(Message.text(`${long} newer`))
      assert.isUndefined(connection.sendDeflated(stale, deflated))
      connection.send(Message.text(long))
      assert.deepStrictEqual(peer.receive(concat(connection.takeOutput())).map(plainEvent), [
        `Text ${long} inner`,
        `Text ${long} outer`,
        `Text ${long}`,
        `Text ${long} newer`,
        `Text ${long}`,
        `Text ${long}`
      ])
    })

    it("does not change or keep the bytes of the caller", () => {
      const connection = endpoint(role, { compression: compression() })
      const peer = endpoint(peerOf(role), { compression: compression() })
      for (let i = 0; i < 3; i++) {
        const data = utf8(long)
        connection.send(Message.binary(data))
        assert.strictEqual(latin1(data), long)
        data.fill(i)
        assert.deepStrictEqual(peer.receive(concat(connection.takeOutput())).map(plainEvent), [`Binary ${long}`])
      }
    })
  })

  describe(`ownership, as ${role}`, () => {
    const large = Any.noise(500, 7)
    const frames = [
      binary(large),
      text("x".repeat(60)),
      binary(large.subarray(0, 300), unfinished),
      ping("ping"),
      continuation(large.subarray(300)),
      text("straddling, with a mask of four octets that does not fit"),
      binary("tiny"),
      pong("pong")
    ]
    const expected = [
      `Binary ${latin1(large)}`,
      `Text ${"x".repeat(60)}`,
      "Ping ping",
      `Binary ${latin1(large)}`,
      "Text straddling, with a mask of four octets that does not fit",
      "Binary tiny",
      "Pong pong"
    ]

    for (const size of [1, 2, 7, 100, 333, 1000, Number.MAX_SAFE_INTEGER]) {
      it(`neither changes nor keeps a borrowed chunk, in chunks of ${size}`, () => {
        const connection = endpoint(role)
        const bytes = sentTo(role, ...frames)
        const events: Array<Connection.Event> = []
        // One read buffer for all chunks, with something before and behind each.
        const buffer = new Uint8Array(Math.min(size, bytes.length) + 8)
        for (let start = 0; start < bytes.length; start += size) {
          buffer.fill(0x55)
          const part = bytes.subarray(start, start + size)
          buffer.set(part, 3)
          const before = buffer.slice()
          events.push(...connection.receive(buffer.subarray(3, 3 + part.length)))
          assert.isTrue(Buffer.from(before).equals(buffer))
        }
        buffer.fill(0xaa)
        assert.deepStrictEqual(events.map(plainEvent), expected)
        for (const event of events) {
          if (event._tag === "Binary" || event._tag === "Ping") assert.notStrictEqual(event.data.buffer, buffer.buffer)
        }
      })

      it(`delivers the same from owned chunks and never rewrites it, in chunks of ${size}`, () => {
        const connection = endpoint(role)
        const bytes = sentTo(role, ...frames, ...frames)
        const events: Array<Connection.Event> = []
        for (let start = 0; start < bytes.length; start += size) {
          events.push(...connection.receive(bytes.slice(start, start + size), true))
        }
        assert.deepStrictEqual(events.map(plainEvent), [...expected, ...expected])
      })
    }

    it("may change a mutable chunk during the call, and keeps none of it", () => {
      const chunk = sentTo(role, text("x".repeat(100)), binary(large), ping("ping"))
      const events = endpoint(role).receive(chunk, ...mutable)
      assert.include(latin1(chunk), "x".repeat(100), "unmasked in place, without a copy")
      chunk.fill(0xaa)
      assert.deepStrictEqual(events.map(plainEvent), [
        `Text ${"x".repeat(100)}`,
        `Binary ${latin1(large)}`,
        "Ping ping"
      ])
    })

    it("takes a large payload from an owned chunk without copying it", () => {
      const chunk = sentTo(role, binary(large))
      const [event] = endpoint(role).receive(chunk, true)
      assert.isTrue(event?._tag === "Binary" && event.data.buffer === chunk.buffer)
      assert.deepStrictEqual(plainEvent(event!), `Binary ${latin1(large)}`)
    })

    it("reports whether it may still use an owned chunk", () => {
      const connection = endpoint(role)
      const kept = (bytes: Uint8Array): boolean => {
        connection.receive(bytes, true)
        return connection.keepsChunk
      }
      const bytes = sentTo(role, binary(large))
      assert.isFalse(kept(bytes.slice(0, 20)))
      assert.isFalse(kept(bytes.slice(20, -10)))
      // The message was copied together from three chunks.
      assert.isFalse(kept(bytes.slice(-10)))
      assert.isTrue(kept(bytes))
      assert.isFalse(kept(sentTo(role, text("a".repeat(1000)))))
      assert.isFalse(kept(sentTo(role, ...Array.from({ length: 10 }, () => binary(new Uint8Array(100))))))
      assert.isFalse(kept(sentTo(role, ping(large.subarray(0, 100)))))
    })

    it("a small payload does not keep a large chunk alive", () => {
      const sizes = [1, 3, 10, 50, 63, 64, 65, 100, 255, 256, 257, 1000]
      const whole = sizes.map((size) => binary(large.subarray(0, Math.min(size, 500))))
      const halves = whole.flatMap(({ payload }) => [
        binary(payload.subarray(0, 1), unfinished),
        continuation(payload.subarray(1))
      ])
      for (const owned of [true, false]) {
        for (const chop of [7, 1100, Number.MAX_SAFE_INTEGER]) {
          const bytes = sentTo(role, ...whole, ...halves, binary(new Uint8Array(9000)))
          const connection = endpoint(role)
          let seen = 0
          for (let start = 0; start < bytes.length; start += chop) {
            for (const event of connection.receive(bytes.slice(start, start + chop), owned)) {
              assert.strictEqual(event._tag, "Binary")
              if (event._tag !== "Binary") continue
              seen++
              assert.isAtMost(event.data.buffer.byteLength, 4 * event.data.length)
            }
          }
          assert.strictEqual(seen, 2 * sizes.length + 1)
        }
      }
    })

    const options: ReadonlyArray<Endpoint> = [
      {},
      { maxFrameSize: 100 },
      { maxFrameSize: 40_000 },
      { maxCopiedBytes: 10 }
    ]
    for (const option of options) {
      it(`never changes a caller's payload, with ${JSON.stringify(option)}`, () => {
        const connection = endpoint(role, option)
        for (const size of [1, 60, 125, 1000, 33_000, 70_000]) {
          const payload = Any.noise(size, size)
          const before = payload.slice()
          connection.send(Message.binary(payload))
          connection.sendFragment(payload, false)
          connection.sendFragment(payload, true)
          connection.ping(payload.subarray(0, 125))
          connection.takeOutput()
          connection.recycleOutput()
          assert.isTrue(Buffer.from(before).equals(payload), `${size} bytes`)
        }
      })
    }

    it("copies a payload up to maxCopiedBytes, and every payload as a client", () => {
      const limits: ReadonlyArray<readonly [Endpoint, number]> = [
        [{}, 65_536],
        [{ maxCopiedBytes: 10 }, 10],
        [{ maxCopiedBytes: 1 }, 1]
      ]
      for (const [option, limit] of limits) {
        const isSent = (size: number) => {
          const connection = endpoint(role, option)
          const payload = new Uint8Array(size)
          connection.send(Message.binary(payload))
          return connection.takeOutput().some((bytes) => bytes.buffer === payload.buffer)
        }
        assert.isFalse(isSent(limit))
        assert.strictEqual(isSent(limit + 1), role === "server")
      }
    })

    it("cuts a payload that is not copied at maxFrameSize", () => {
      const connection = endpoint(role, { maxFrameSize: 20, maxCopiedBytes: 10 })
      const payload = Any.noise(50, 1)
      connection.send(Message.binary(payload))
      const [a, b, c] = [payload.subarray(0, 20), payload.subarray(20, 40), payload.subarray(40)]
      assert.deepStrictEqual(
        drain(connection),
        wire(binary(a!, unfinished), continuation(b, unfinished), continuation(c))
      )
    })

    it("a copied payload may change before the output is taken", () => {
      const connection = endpoint(role)
      const payload = utf8("before")
      connection.send(Message.binary(payload))
      connection.ping(payload)
      payload.fill(0)
      assert.deepStrictEqual(drain(connection), wire(binary("before"), ping("before")))
    })

    it("outputBytes is the number of bytes that takeOutput returns", () => {
      const connection = endpoint(role)
      for (const size of [0, 125, 126, 40_000, 65_536, 100_000]) {
        connection.send(Message.binary(new Uint8Array(size)))
        connection.send(Message.text("é".repeat(size)))
        const { outputBytes } = connection
        const taken = connection.takeOutput()
        assert.strictEqual(
          taken.reduce((sum, bytes) => sum + bytes.length, 0),
          outputBytes
        )
        assert.strictEqual(connection.outputBytes, 0)
      }
    })

    it("small messages sent together are one piece", () => {
      const connection = endpoint(role)
      for (let i = 0; i < 100; i++) connection.send(Message.text(`message ${i}`))
      assert.lengthOf(connection.takeOutput(), 1)
    })
  })

  describe(`limits, as ${role}`, () => {
    /** The bytes of frames, of the last one only its header. */
    const headerOf = (...input: ReadonlyArray<Frame>) => {
      const bytes = sentTo(role, ...input)
      return bytes.subarray(0, bytes.length - (input.at(-1)?.payload.length ?? 0))
    }
    const of = (size: number) => new Uint8Array(size).fill(0x61)
    const empty = continuation("", unfinished)

    const refused: ReadonlyArray<
      readonly [name: string, limits: Partial<Connection.Limits>, input: ReadonlyArray<Frame>, error: Plain]
    > = [
      ["a text above the message limit", { maxMessageBytes: 10 }, [text(of(11))], inboundLimit("message", 10, 11)],
      [
        "a binary above the message limit",
        { maxMessageBytes: 10 },
        [binary(of(300))],
        inboundLimit("message", 10, 300)
      ],
      [
        "a message above the default limit",
        {},
        [binary(of(1024 * 1024 + 1))],
        inboundLimit("message", 1024 * 1024, 1024 * 1024 + 1)
      ],
      [
        "fragments above the message limit",
        { maxMessageBytes: 10 },
        [text(of(6), unfinished), ping(of(100)), continuation(of(4), unfinished), continuation(of(1))],
        inboundLimit("message", 10, 11)
      ],
      ["a frame above the frame limit", { maxFrameBytes: 5 }, [binary(of(6))], inboundLimit("frame", 5, 6)],
      [
        "a fragment above the frame limit",
        { maxFrameBytes: 5 },
        [binary(of(5), unfinished), continuation(of(6))],
        inboundLimit("frame", 5, 6)
      ],
      ["a control frame above the frame limit", { maxFrameBytes: 5 }, [ping(of(6))], inboundLimit("frame", 5, 6)],
      [
        "too many fragments",
        { maxFragments: 2 },
        [text("a", unfinished), continuation("b", unfinished), continuation("c")],
        inboundLimit("fragments", 2, 3)
      ],
      [
        "too many empty fragments",
        { maxFragments: 3 },
        [binary("", unfinished), empty, empty, ping(), empty],
        inboundLimit("fragments", 3, 4)
      ],
      [
        "more fragments than the default",
        {},
        [binary("", unfinished), ...Array<Frame>(1024).fill(empty)],
        inboundLimit("fragments", 1024, 1025)
      ]
    ]
    for (const [name, limits, input, error] of refused) {
      it(`refuses ${name} as soon as the header arrives`, () => {
        for (const chop of [1, Number.MAX_SAFE_INTEGER]) {
          const connection = endpoint(role, { limits })
          const bytes = headerOf(...input)
          const events: Array<Connection.Event> = []
          for (let start = 0; start < bytes.length; start += chop) {
            events.push(...connection.receive(bytes.slice(start, start + chop)))
          }
          const ended = events.at(-1)
          assert.isDefined(ended)
          assert.deepStrictEqual(plainEvent(ended), error)
          assert.strictEqual(connection.closeStatus.sent?.code, 1009)
          assert.deepStrictEqual(state(connection), closing(true))
        }
      })
    }

    it("accepts messages exactly at the limits", () => {
      const limits = { maxMessageBytes: 10, maxFrameBytes: 6, maxFragments: 3 }
      const connection = endpoint(role, { limits })
      const message = [text(of(6), unfinished), continuation("", unfinished), ping(of(6)), continuation(of(4))]
      const events = ["Ping aaaaaa", "Text aaaaaaaaaa"]
      assert.deepStrictEqual(receive(connection, ...message, ...message), [...events, ...events])
    })

    it("refuses lengths whose upper 32 bits alone are too large", () => {
      const mask = role === "server" ? 0x80 : 0
      const sizes: ReadonlyArray<readonly [ReadonlyArray<number>, Plain]> = [
        [[0, 0, 0, 1, 0, 0, 0, 5], inboundLimit("message", 10, 2 ** 32 + 5)],
        [[0, 0x1f, 255, 255, 255, 255, 255, 255], inboundLimit("message", 10, Number.MAX_SAFE_INTEGER)],
        [[0, 0x20, 0, 0, 0, 0, 0, 0], inboundLimit("frame", Number.MAX_SAFE_INTEGER, undefined)],
        [[255, 255, 255, 255, 255, 255, 255, 255], inboundLimit("frame", Number.MAX_SAFE_INTEGER, undefined)]
      ]
      for (const [size, error] of sizes) {
        const connection = endpoint(role, { limits: { maxMessageBytes: 10 } })
        const header = Uint8Array.of(0x82, 127 | mask, ...size, ...(role === "server" ? [1, 2, 3, 4] : []))
        assert.deepStrictEqual(connection.receive(header).map(plainEvent), [error])
      }
    })

    it("throws for invalid limits", () => {
      const names = ["maxMessageBytes", "maxFrameBytes", "maxFragments", "maxBufferedControlFrames"] as const
      for (const value of [0, -1, 1.5, NaN, Infinity, Number.MAX_SAFE_INTEGER + 1]) {
        for (const name of names) assert.throws(() => endpoint(role, { limits: { [name]: value } }), RangeError, name)
        assert.throws(() => endpoint(role, { maxFrameSize: value }), RangeError, "maxFrameSize")
      }
      // Longer than any string can be.
      assert.throws(() => endpoint(role, { limits: { maxMessageBytes: 0x1fffffe9 } }), RangeError, "maxMessageBytes")
    })

    it("has defaults", () => {
      const limits = { maxMessageBytes: 0x1fffffe8, maxFragments: undefined as unknown as number }
      assert.deepStrictEqual(endpoint(role).limits, Connection.defaultLimits)
      assert.deepStrictEqual(endpoint(role, { limits }).limits, {
        ...Connection.defaultLimits,
        maxMessageBytes: 0x1fffffe8
      })
    })
  })
}

describe("two endpoints", () => {
  const pass = (from: Connection.Connection, to: Connection.Connection) => {
    const events = from.takeOutput().flatMap((bytes) => to.receive(bytes).map(plainEvent))
    from.recycleOutput()
    return events
  }

  for (const role of roles) {
    it(`complete a close that the ${role} begins`, () => {
      const near = endpoint(role)
      const far = endpoint(peerOf(role))
      near.close(3001, "bye")
      assert.deepStrictEqual(pass(near, far), [closedError(3001, "bye", "remote", true)])
      assert.deepStrictEqual(pass(far, near), [closedError(3001, "bye", "local", true)])
      assert.isTrue(near.closeStatus.clean && far.closeStatus.clean)
      const [server, client] = role === "server" ? [near, far] : [far, near]
      assert.deepStrictEqual(state(server), closing(true))
      assert.deepStrictEqual(state(client), closing(false))
      client.receiveEof()
      assert.deepStrictEqual(state(client), over)
      server.receiveEof()
      assert.deepStrictEqual(state(server), over)
    })
  }

  it("close at the same time", () => {
    const server = endpoint("server")
    const client = endpoint("client")
    server.close(1001, "going")
    client.close(4000, "done")
    const toClient = server.takeOutput()
    assert.deepStrictEqual(pass(client, server), [closedError(1001, "going", "local", true)])
    assert.deepStrictEqual(client.receive(concat(toClient)).map(plainEvent), [closedError(4000, "done", "local", true)])
    assert.deepStrictEqual(server.closeStatus, {
      sent: { code: 1001, reason: "going" },
      received: { code: 4000, reason: "done" },
      initiator: "local",
      clean: true
    })
    assert.deepStrictEqual(client.closeStatus, {
      sent: { code: 4000, reason: "done" },
      received: { code: 1001, reason: "going" },
      initiator: "local",
      clean: true
    })
    assert.strictEqual(server.outputBytes + client.outputBytes, 0)
  })
})

/** Feeds chunks, settles what waits before the next one, and ends the input. */
const play = (
  role: Role,
  chunks: ReadonlyArray<Uint8Array>,
  ownership: Ownership,
  limits?: Partial<Connection.Limits>
) => {
  const connection = endpoint(role, { limits })
  const events: Array<Connection.Event> = []
  for (const chunk of chunks) {
    const bytes = chunk.slice()
    events.push(...connection.receive(bytes, ...ownership))
    if (ownership !== owned || !connection.keepsChunk) bytes.fill(0xaa)
    events.push(...connection.settle())
  }
  const before = connection.closeStatus
  events.push(...connection.receiveEof())
  return { events: events.map(plainEvent), before, after: connection.closeStatus, written: drain(connection) }
}

const control = fc.tuple(fc.constantFrom("Ping", "Pong"), Any.controlPayload).map(([name, payload]) => ({
  frames: [(name === "Ping" ? ping : pong)(payload)],
  events: [`${name} ${latin1(payload)}`]
}))

const message: fc.Arbitrary<Message.Message> = fc.oneof(Any.text.map(Message.text), Any.payload.map(Message.binary))

/** What a peer may send, and the events that it means. */
const step = fc.oneof(
  { weight: 1, arbitrary: control },
  {
    weight: 4,
    arbitrary: fc
      .record({ message, cuts: fc.array(fc.nat(), { maxLength: 4 }), controls: fc.array(control, { maxLength: 4 }) })
      .map(({ controls, cuts, message }) => {
        const bytes = message._tag === "Text" ? utf8(message.data) : message.data
        const parts = Any.split(bytes, cuts)
        const between = controls.slice(0, parts.length - 1)
        const frames = parts.flatMap((part, i) => [
          (i > 0 ? continuation : message._tag === "Text" ? text : binary)(part, { fin: i === parts.length - 1 }),
          ...(between[i]?.frames ?? [])
        ])
        return { frames, events: [...between.flatMap(({ events }) => events), plainEvent(message)] }
      })
  }
)

const badEnds: ReadonlyArray<readonly [ReadonlyArray<Frame>, End]> = [
  [[text("x", { rsv: 4 })], rsvEnd],
  [[text("", unfinished), ping("x", { rsv: 1 })], rsvEnd],
  [[continuation("x")], violated(1002, "5.4", "A continuation frame has no message to continue")],
  [[text("x", unfinished), text("y")], violated(1002, "5.4", "A new message begins inside a fragmented one")],
  [[ping(new Uint8Array(126))], violated(1002, "5.5", "A control frame has more than 125 bytes")],
  [[pong("", unfinished)], violated(1002, "5.5", "A control frame is fragmented")],
  [[text(Uint8Array.of(0xed, 0xa0))], violated(1007, "8.1", "A text message is not UTF-8")],
  [[text(Uint8Array.of(0xe2, 0x82))], violated(1007, "8.1", "A text message is not UTF-8")],
  [[close(1006)], violated(1002, "7.4", "The close code 1006 may not be sent")],
  [[close(1000, Uint8Array.of(0x80))], violated(1007, "8.1", "The close reason is not UTF-8")],
  [[close(1001, "bye")], closed(1001, "bye")],
  [[close()], closed()]
]

const session = fc.record({
  role: fc.constantFrom(...roles),
  steps: fc.array(step, { maxLength: 8 }),
  end: fc.constantFrom(undefined, ...badEnds),
  garbage: fc.uint8Array({ maxLength: 30 })
})

type Session = typeof session extends fc.Arbitrary<infer A> ? A : never

const bytesOf = ({ end, garbage, role, steps }: Session): Uint8Array =>
  concat([
    sentTo(role, ...steps.flatMap(({ frames }) => frames), ...(end?.[0] ?? [])),
    end === undefined ? new Uint8Array(0) : garbage
  ])

const tight: Partial<Connection.Limits> = {
  maxMessageBytes: 64,
  maxFrameBytes: 48,
  maxFragments: 3,
  maxBufferedControlFrames: 2
}

describe("properties", () => {
  it("all messages before a violation or Close are delivered, then one Ended, however the input is split", () => {
    fc.assert(
      fc.property(session, Any.cuts, Any.ownership, (session, cuts, ownership) => {
        const { end, role, steps } = session
        const { after, before, events, written } = play(role, Any.split(bytesOf(session), cuts), ownership, {
          maxBufferedControlFrames: 1000
        })
        const last = end?.[1].error ?? closedError(1006, "", "remote", false)
        assert.deepStrictEqual(events, [...steps.flatMap((step) => step.events), last])
        assert.deepStrictEqual(after.clean, last["clean"] === true)
        if (end !== undefined) assert.deepStrictEqual(after, before)
        const pongs = events.flatMap((event) =>
          typeof event === "string" && event.startsWith("Ping ") ? [event.replace("Ping", "Pong")] : []
        )
        assert.deepStrictEqual(written, [...pongs, ...(end === undefined ? [] : [show(end[1].close)])])
      }),
      { numRuns: 300 }
    )
  })

  const sameForAnySplit = (
    role: Role,
    bytes: Uint8Array,
    cuts: ReadonlyArray<number>,
    ownership: Ownership,
    limits: Partial<Connection.Limits>
  ) => {
    const whole = play(role, [bytes], owned, limits)
    assert.deepStrictEqual(play(role, Any.split(bytes, cuts), ownership, limits), whole)
    assert.deepStrictEqual(play(role, Any.split(bytes, [...bytes.keys()]), ownership, limits), whole)
    const ended = whole.events.map((event) => typeof event !== "string")
    assert.strictEqual(ended.indexOf(true), ended.length - 1)
  }
  const limits = fc.constantFrom({}, tight)

  it("a mutated session gives the same events however it is split", () => {
    const mutation = fc.record({ at: fc.nat(), remove: fc.nat(2), insert: fc.uint8Array({ maxLength: 2 }) })
    fc.assert(
      fc.property(
        session.map((session) => ({ ...session, steps: session.steps.slice(0, 3) })),
        fc.array(mutation, { maxLength: 3 }),
        Any.cuts,
        Any.ownership,
        limits,
        (session, mutations, cuts, ownership, limits) => {
          // The cost is in the octets fed one by one, and the errors are in the headers.
          let bytes = bytesOf(session).subarray(0, 2000)
          for (const { at, insert, remove } of mutations) {
            const start = at % (bytes.length + 1)
            bytes = concat([bytes.subarray(0, start), insert, bytes.subarray(start + remove)])
          }
          sameForAnySplit(session.role, bytes, cuts, ownership, limits)
        }
      ),
      { numRuns: 300 }
    )
  })

  it("random bytes give the same events however they are split", () => {
    const octet = fc.oneof(
      fc.constantFrom(0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x83, 0x85, 0x88, 0x89, 0x8a, 0xfd, 0xfe, 0xff, 0x7e, 0x7f),
      fc.nat(255)
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...roles),
        fc.array(octet, { maxLength: 60 }),
        Any.cuts,
        Any.ownership,
        limits,
        (role, octets, cuts, ownership, limits) =>
          sameForAnySplit(role, Uint8Array.from(octets), cuts, ownership, limits)
      ),
      { numRuns: 1000 }
    )
  })

  it("one endpoint receives what the other one sends, up to its limits", () => {
    const settings = fc.record({
      role: fc.constantFrom(...roles),
      maxFrameSize: fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined }),
      maxMessageBytes: fc.integer({ min: 20, max: 70_000 }),
      maxFrameBytes: fc.integer({ min: 10, max: 70_000 }),
      maxFragments: fc.integer({ min: 1, max: 400 })
    })
    const size = (message: Message.Message) =>
      message._tag === "Text" ? utf8(message.data).length : message.data.length

    fc.assert(
      fc.property(settings, fc.array(message, { maxLength: 10 }), Any.cuts, (settings, messages, cuts) => {
        const { maxFragments, maxFrameBytes, maxFrameSize, maxMessageBytes, role } = settings
        /** The first limit that a message exceeds, in the order of its frames. */
        const refusal = (message: Message.Message): Plain | undefined => {
          const bytes = size(message)
          const whole = maxFrameSize ?? Infinity
          for (let sent = 0, count = 1; ; count++) {
            const frame = Math.min(whole, bytes - sent)
            sent += frame
            if (frame > maxFrameBytes) return inboundLimit("frame", maxFrameBytes, frame)
            if (count > maxFragments) return inboundLimit("fragments", maxFragments, count)
            if (sent > maxMessageBytes) return inboundLimit("message", maxMessageBytes, sent)
            if (sent === bytes) return undefined
          }
        }
        const sender = endpoint(role, { maxFrameSize })
        for (const message of messages) assert.isUndefined(sender.send(message))
        assert.isUndefined(sender.close(1000, "bye"))
        const refused = messages.findIndex((message) => refusal(message) !== undefined)
        const expected: ReadonlyArray<string | Plain> =
          refused < 0
            ? [...messages.map(plainEvent), closedError(1000, "bye", "remote", true)]
            : [...messages.slice(0, refused).map(plainEvent), refusal(messages[refused]!)!]
        const limits = { maxMessageBytes, maxFrameBytes, maxFragments }
        const { events } = play(peerOf(role), Any.split(concat(sender.takeOutput()), cuts), borrowed, limits)
        sender.recycleOutput()
        assert.deepStrictEqual(events, expected)
      }),
      { numRuns: 300 }
    )
  })

  it("parts of a text that is cut anywhere arrive as the text", () => {
    fc.assert(
      fc.property(fc.constantFrom(...roles), Any.looseText, Any.cuts, (role, data, cuts) => {
        const sender = endpoint(role)
        const bounds = [0, ...cuts.map((cut) => cut % (data.length + 1)).sort((a, b) => a - b)]
        bounds.forEach((start, i) => sender.sendFragment(data.slice(start, bounds[i + 1]), i === bounds.length - 1))
        const [event] = endpoint(peerOf(role)).receive(concat(sender.takeOutput()))
        assert.strictEqual(
          plainEvent(event!),
          `Text ${new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8(data))}`
        )
      }),
      { numRuns: 300 }
    )
  })
})

describe("output memory", () => {
  /** Goes on to memory that nothing else holds a part of; what earlier tests never gave back is used up. */
  const renew = () => {
    const connection = endpoint("server")
    for (let i = 0; i < 4; i++) {
      connection.send(Message.binary(new Uint8Array(30_000)))
      connection.takeOutput()
      connection.recycleOutput()
    }
  }

  const length = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 2, arbitrary: fc.integer({ min: 300, max: 12_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 16_000, max: 40_000 }) }
  )
  const program = fc.array(
    fc.record({
      connection: fc.nat(4),
      action: fc.constantFrom("text", "binary", "binary", "ping", "take", "hold"),
      length
    }),
    { minLength: 30, maxLength: 120 }
  )

  // "take" recycles at once, as after a write that was taken; "hold" never does.
  it("output that was taken never changes, and all output is correct, however connections interleave and recycle", () => {
    fc.assert(
      fc.property(program, (program) => {
        renew()
        const lanes = [0, 1, 2, 3, 4].map((i) => ({
          connection: endpoint(i % 2 === 0 ? "server" : "client"),
          sent: [] as Array<string>,
          copies: [] as Array<Uint8Array>
        }))
        const held: Array<readonly [bytes: Uint8Array, copy: Uint8Array]> = []
        const take = (lane: (typeof lanes)[number], hold: boolean) => {
          const taken = lane.connection.takeOutput()
          for (const bytes of taken) {
            const copy = bytes.slice()
            lane.copies.push(copy)
            if (hold) held.push([bytes, copy])
          }
          if (hold || taken.length === 0) return
          lane.connection.recycleOutput()
          // A second report changes nothing, though others use the same memory.
          lane.connection.recycleOutput()
        }
        let seed = 0
        for (const { action, connection, length } of program) {
          const lane = lanes[connection]!
          const payload = Any.noise(length, ++seed)
          switch (action) {
            case "text": {
              const data = latin1(payload)
              lane.connection.send(Message.text(data))
              lane.sent.push(show(text(data)))
              break
            }
            case "binary":
              lane.connection.send(Message.binary(payload))
              lane.sent.push(show(binary(payload)))
              break
            case "ping":
              lane.connection.ping(payload.subarray(0, 125))
              lane.sent.push(show(ping(payload.subarray(0, 125))))
              break
            default:
              take(lane, action === "hold")
          }
        }
        for (const lane of lanes) {
          take(lane, true)
          assert.isTrue(shown(lane.connection.role, lane.copies).join("\n") === lane.sent.join("\n"))
        }
        for (const [bytes, copy] of held) assert.isTrue(Buffer.from(copy).equals(bytes))
      }),
      { numRuns: 60 }
    )
  })

  it("output that was taken never changes without recycleOutput, however much more is sent", () => {
    const connections = [endpoint("server"), endpoint("client"), endpoint("server")]
    const held: Array<readonly [bytes: Uint8Array, copy: Uint8Array]> = []
    for (let round = 0; round < 60; round++) {
      for (const [i, connection] of connections.entries()) {
        connection.send(Message.binary(Any.noise(round * 97 + i, round)))
        connection.send(Message.text("é".repeat(round * 50)))
        for (const bytes of connection.takeOutput()) held.push([bytes, bytes.slice()])
      }
    }
    assert.isAbove(
      held.reduce((sum, [bytes]) => sum + bytes.length, 0),
      8 * 64 * 1024
    )
    for (const [bytes, copy] of held) assert.isTrue(Buffer.from(copy).equals(bytes))
  })

  it("recycling one take does not affect an earlier one", () => {
    renew()
    const connection = endpoint("server")
    connection.send(Message.text("first"))
    const first = connection.takeOutput()
    const copy = concat(first)
    connection.send(Message.text("second"))
    connection.takeOutput()
    connection.recycleOutput()
    for (let i = 0; i < 200; i++) {
      connection.send(Message.binary(Any.noise(1000, i)))
      connection.takeOutput()
      connection.recycleOutput()
    }
    assert.deepStrictEqual(concat(first), copy)
  })
})

describe("resolveLimits", () => {
  it("returns limits that all connections share", () => {
    const limits = Connection.resolveLimits({ maxFragments: 7 })
    assert.deepStrictEqual(limits, { ...Connection.defaultLimits, maxFragments: 7 })
    assert.isTrue(Object.isFrozen(limits))
    assert.strictEqual(Connection.resolveLimits(limits), limits)
    assert.strictEqual(Connection.make({ role: "server", limits }).limits, limits)
  })

  it("copies limits that the app may still change", () => {
    const mine = { ...Connection.defaultLimits }
    const { limits } = Connection.make({ role: "server", limits: mine })
    mine.maxFragments = 0
    assert.deepStrictEqual(limits, Connection.defaultLimits)
  })
})
