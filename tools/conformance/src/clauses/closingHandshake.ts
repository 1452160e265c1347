/** RFC 6455 §5.5.1 and §7: the closing handshake. */
import type { Clause } from "../Clause.js"
import { close, fromLatin1, ping, rawClose, text, type Frame } from "../Frame.js"
import { clause, closed, exchange, violated } from "./make.js"

const hello = text("Hello World!")
const large = text("BAsd7&jh23".repeat(26_214) + "BAsd")

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const valid = [...range(1000, 1003), ...range(1007, 1014), 3000, 3999, 4000, 4999]
const both = (code: number): ReadonlyArray<Frame> => [close(code), close(code, "reason")]

const illegal = (codes: ReadonlyArray<number>) =>
  codes.flatMap((code) =>
    both(code).map((frame) =>
      exchange(`illegal: ${code}, payload of ${frame.payload.length} bytes`, [hello, frame], {
        messages: [hello],
        end: violated(1002, "7.4", `The close code ${code} may not be sent`)
      })
    )
  )

const notUtf8 = ["\xce\xba\xed\xa0\x80edited", "\xc3", "\x80", "\xf4\x90\x80\x80", "ok\xff"]

export const closingHandshake: ReadonlyArray<Clause> = [
  clause(
    "RFC 6455 §5.5.1",
    "An endpoint that receives a Close MUST send one in response, typically with the same code.",
    [
      exchange("without payload", [close()], { end: closed() }),
      exchange("without reason", [close(1000)], { end: closed(1000) }),
      exchange("with a reason", [close(1000, "Hello World!")], { end: closed(1000, "Hello World!") }),
      exchange("with a reason of 123 bytes", [close(1000, "*".repeat(123))], { end: closed(1000, "*".repeat(123)) }),
      exchange("with a reason of several bytes per character", [close(4000, "µ€😀")], { end: closed(4000, "µ€😀") }),
      exchange("after a message", [hello, close(1000)], { messages: [hello], end: closed(1000) }),
      exchange("after a message of 256 KiB", [large, close(1000), ping()], { messages: [large], end: closed(1000) })
    ]
  ),
  clause("RFC 6455 §5.5.1", "The payload of a Close is empty, or begins with a code of two bytes.", [
    exchange("one byte", [rawClose("a")], { end: violated(1002, "5.5.1", "The payload of a Close frame has one byte") })
  ]),
  clause(
    "RFC 6455 §5.5.1",
    "The reason of a Close MUST be UTF-8.",
    notUtf8.map((reason, i) =>
      exchange(`not UTF-8: ${i + 1}`, [hello, close(1000, fromLatin1(reason)), hello], {
        messages: [hello],
        end: violated(1007, "8.1", "The close reason is not UTF-8")
      })
    )
  ),
  clause("RFC 6455 §5.5.1", "Everything that arrives after a Close is ignored, and nothing is sent after a Close.", [
    exchange("a second Close", [close(1000), close(1001)], { end: closed(1000) }),
    exchange("a ping", [close(1000), ping()], { end: closed(1000) }),
    exchange("a message", [close(1000), hello], { end: closed(1000) }),
    exchange("a violation", [hello, close(1000), text("x", { rsv: 7 })], { messages: [hello], end: closed(1000) })
  ]),
  clause(
    "RFC 6455 §7.4",
    "An endpoint accepts every code that may be sent.",
    valid.flatMap((code) =>
      both(code).map((frame) =>
        exchange(`legal: ${code}, payload of ${frame.payload.length} bytes`, [frame], {
          end: closed(code, frame.payload.length > 2 ? "reason" : "")
        })
      )
    )
  ),
  clause(
    "RFC 6455 §7.4.1",
    "The codes 1005, 1006 and 1015 MUST NOT be sent in a Close. The code 1004 has no meaning.",
    illegal([1004, 1005, 1006, 1015])
  ),
  clause(
    "RFC 6455 §7.4.2",
    "Codes below 1000 are not used. Codes up to 2999 need a definition. There are no codes from 5000 on.",
    [...illegal([0, 1, 999, 1016, 1100, 2000, 2999, 5000, 65535])]
  )
]
