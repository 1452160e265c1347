import type { Frame } from "@effect-websocket/protocol/Frame"
import {
  close,
  closed,
  conformance,
  continuation,
  fromLatin1,
  ping,
  rawClose,
  text,
  unfinished,
  violated
} from "./support.js"

const hello = text("Hello World!")
const large = text("BAsd7&jh23".repeat(26_214) + "BAsd")

conformance("close", [
  { name: "7.1.1 message, close", input: [hello, close(1000)], output: [hello], end: closed(1000) },
  { name: "7.1.2 close twice", input: [close(1000), close(1001)], output: [], end: closed(1000) },
  { name: "7.1.3 ping after close", input: [close(1000), ping()], output: [], end: closed(1000) },
  { name: "7.1.4 message after close", input: [close(1000), hello], output: [], end: closed(1000) },
  {
    name: "7.1.5 close inside a fragmented message",
    input: [text("fragment1", unfinished), close(1000), continuation("fragment2")],
    output: [],
    end: closed(1000)
  },
  {
    name: "7.1.6 message of 256 KiB, close, ping",
    input: [large, close(1000), ping()],
    output: [large],
    end: closed(1000)
  },
  {
    name: "a violation after close",
    input: [hello, close(1000), text("x", { rsv: 7 })],
    output: [hello],
    end: closed(1000)
  },
  { name: "7.3.1 payload of 0 bytes", input: [close()], output: [], end: closed() },
  {
    name: "7.3.2 payload of 1 byte",
    input: [rawClose("a")],
    output: [],
    end: violated(1002, "5.5.1", "The payload of a Close frame has one byte")
  },
  { name: "7.3.3 payload of 2 bytes", input: [close(1000)], output: [], end: closed(1000) },
  { name: "7.3.4 reason", input: [close(1000, "Hello World!")], output: [], end: closed(1000, "Hello World!") },
  {
    name: "7.3.5 payload of 125 bytes",
    input: [close(1000, "*".repeat(123))],
    output: [],
    end: closed(1000, "*".repeat(123))
  },
  {
    name: "7.3.6 payload of 126 bytes",
    input: [close(1000, "*".repeat(124))],
    output: [],
    end: violated(1002, "5.5", "A control frame has more than 125 bytes")
  },
  { name: "reason of several bytes per character", input: [close(4000, "µ€😀")], output: [], end: closed(4000, "µ€😀") }
])

const notUtf8: ReadonlyArray<string> = [
  "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
  "\xc3",
  "\x80",
  "\xf4\x90\x80\x80",
  "ok\xff"
]

conformance(
  "7.5 reasons that are not UTF-8",
  notUtf8.map((reason, i) => ({
    name: `7.5.1 (${i})`,
    input: [hello, close(1000, fromLatin1(reason)), hello],
    output: [hello],
    end: violated(1007, "8.1", "The close reason is not UTF-8")
  }))
)

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const valid = [...range(1000, 1003), ...range(1007, 1014), 3000, 3999, 4000, 4999]
const invalid = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]

const both = (code: number): ReadonlyArray<Frame> => [close(code), close(code, "reason")]

conformance(
  "7.7 valid codes",
  valid.flatMap((code) =>
    both(code).map((frame) => ({
      name: `${code}, payload of ${frame.payload.length} bytes`,
      input: [frame],
      output: [],
      end: closed(code, frame.payload.length > 2 ? "reason" : "")
    }))
  )
)

conformance(
  "7.9, 7.13 invalid codes",
  invalid.flatMap((code) =>
    both(code).map((frame) => ({
      name: `${code}, payload of ${frame.payload.length} bytes`,
      input: [hello, frame],
      output: [hello],
      end: violated(1002, "7.4", `The close code ${code} may not be sent`)
    }))
  )
)
