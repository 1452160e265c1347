/** RFC 7692: permessage-deflate. */
import { constants, deflateRawSync } from "node:zlib"
import { headerOf, type Clause, type End } from "../Clause.js"
import type { Role } from "../Role.js"
import {
  binary,
  close,
  continuation,
  fromHex,
  ping,
  pong,
  rawClose,
  rsv1,
  text,
  unfinished,
  type Frame
} from "../Frame.js"
import { accepts, clause, closed, exchange, fails, observe, opens, violated } from "./make.js"

/** Compresses with zlib itself (RFC 7692 §7.2.1). */
const deflated = (data: string | Uint8Array, options: { readonly dictionary?: Uint8Array } = {}): Uint8Array => {
  const bytes = Buffer.from(data as Uint8Array)
  return Uint8Array.from(deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4))
}

const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
const withContext = "permessage-deflate; client_max_window_bits"

const over = (
  name: string,
  input: ReadonlyArray<Frame>,
  options: {
    readonly messages?: ReadonlyArray<Frame>
    readonly pongs?: ReadonlyArray<Frame>
    readonly end?: End
    readonly roles?: ReadonlyArray<Role>
    readonly deflate?: string
  } = {}
) => exchange(name, input, { deflate: agreed, ...options })

const hello = text("Hello, world!")
const half = deflated("Hello, world!")
const compressed = text(half, rsv1)
const [first, second] = [half.subarray(0, 6), half.subarray(6)]
const large = "a message that is long enough to be compressed; ".repeat(100)

const continued = violated(1002, "6.1", "A continuation frame has RSV1 set", "RFC 7692")
const control = violated(1002, "6.1", "A control frame has a reserved bit set", "RFC 7692")
const corrupt: End = { ...violated(1007, "7.2.2", "A compressed message is corrupt", "RFC 7692"), codes: [1007, 1002] }
const invalidUtf8 = violated(1007, "8.1", "A text message is not UTF-8")

const offers = (
  name: string,
  offer: string | ReadonlyArray<string>,
  check: (answer: string | undefined) => string | undefined
) =>
  accepts(
    name,
    { "Sec-WebSocket-Extensions": offer },
    { deflate: true, headers: { "sec-websocket-extensions": check } }
  )

const declined = (name: string, offer: string) =>
  offers(name, offer, (answer) => (answer === undefined ? undefined : `the answer is ${answer}`))

const parametersOf = (answer: string): ReadonlyArray<string> => answer.split(";").map((part) => part.trim())

const answered = (
  name: string,
  offer: string | ReadonlyArray<string>,
  legal: (parameters: ReadonlyArray<string>) => boolean
) =>
  offers(name, offer, (answer) =>
    answer !== undefined && parametersOf(answer)[0] === "permessage-deflate" && legal(parametersOf(answer).slice(1))
      ? undefined
      : `the answer is ${answer}`
  )

const bitsOf = (parameters: ReadonlyArray<string>, name: string): number | undefined => {
  const value = parameters.find((parameter) => parameter.startsWith(`${name}=`))
  return value === undefined ? undefined : Number(value.slice(name.length + 1))
}

const illegalParameters: ReadonlyArray<readonly [name: string, parameters: string]> = [
  ["unknown", "x"],
  ["unknown: a property of every object", "constructor"],
  ["unknown: a prototype", "__proto__"],
  ["twice", "server_no_context_takeover; server_no_context_takeover"],
  ["a value for a parameter without one", "server_no_context_takeover=1"],
  ["client_no_context_takeover with a value", "client_no_context_takeover=true"],
  ["server_max_window_bits without a value", "server_max_window_bits"],
  ...["7", "16", "0", "08", "1e1", "10.0", "-9", "1000", "x"].flatMap((value) =>
    ["server", "client"].map(
      (side) => [`a window of ${value} for the ${side}`, `${side}_max_window_bits=${value}`] as const
    )
  )
]

const failsWith = (name: string, extensions: string | ReadonlyArray<string>, section = "RFC 7692 §7.1") =>
  fails(name, { "Sec-WebSocket-Extensions": extensions }, section, { deflate: true })

export const compression: ReadonlyArray<Clause> = [
  clause("RFC 7692 §5", "A server MUST decline an offer with an unknown, illegal or repeated parameter.", [
    ...illegalParameters.map(([name, parameters]) =>
      declined(`illegal: ${name.replace(":", ",")}`, `permessage-deflate; ${parameters}`)
    ),
    answered("the next offer is accepted instead", "permessage-deflate; x, permessage-deflate", () => true),
    answered(
      "the next offer is accepted instead, from another line",
      ["permessage-deflate; x", "permessage-deflate"],
      () => true
    )
  ]),
  clause("RFC 7692 §5", "A server answers with one extension and legal parameters, each at most once.", [
    answered("no parameters", "permessage-deflate", (parameters) =>
      parameters.every((parameter) => !parameter.startsWith("client_max_window_bits"))
    ),
    answered(
      "a quoted value",
      'permessage-deflate; server_max_window_bits="10"',
      (parameters) => (bitsOf(parameters, "server_max_window_bits") ?? 16) <= 10
    ),
    answered("white space around the tokens", " permessage-deflate ;\tserver_no_context_takeover ", (parameters) =>
      parameters.includes("server_no_context_takeover")
    )
  ]),
  clause(
    "RFC 7692 §7.1.1.1",
    "A server that accepts server_no_context_takeover MUST include it in its answer, and MUST compress each message independently.",
    [
      answered("the answer", "permessage-deflate; server_no_context_takeover", (parameters) =>
        parameters.includes("server_no_context_takeover")
      ),
      over("the same message three times", [text(large), text(large), text(large)], {
        messages: [text(large), text(large), text(large)]
      })
    ]
  ),
  clause(
    "RFC 7692 §7.1.2.1",
    "A server that accepts server_max_window_bits MUST answer with that value or a smaller one.",
    [9, 10, 12, 15].map((bits) =>
      answered(`a window: ${bits}`, `permessage-deflate; server_max_window_bits=${bits}`, (parameters) => {
        const own = bitsOf(parameters, "server_max_window_bits")
        return own !== undefined && own >= 8 && own <= bits
      })
    )
  ),
  clause(
    "RFC 7692 §7.1.2.2",
    "A server MUST NOT answer with client_max_window_bits unless the client offered it, and MUST NOT answer with a larger value.",
    [
      answered(
        "not offered",
        "permessage-deflate",
        (parameters) => bitsOf(parameters, "client_max_window_bits") === undefined
      ),
      answered("offered without a value", "permessage-deflate; client_max_window_bits", (parameters) => {
        const bits = bitsOf(parameters, "client_max_window_bits")
        return bits === undefined || (bits >= 8 && bits <= 15)
      }),
      ...[9, 12, 15].map((offered) =>
        answered(
          `offered with a value: ${offered}`,
          `permessage-deflate; client_max_window_bits=${offered}`,
          (parameters) => (bitsOf(parameters, "client_max_window_bits") ?? 8) <= offered
        )
      )
    ]
  ),
  clause("RFC 7692 §7.1", "A client offers legal parameters, each at most once.", [
    observe(
      "the offers of the request",
      ([request]) => {
        const value = request === undefined ? undefined : headerOf(request, "sec-websocket-extensions")
        const legal = (value ?? "").split(",").every((offer) => {
          const [name, ...parameters] = parametersOf(offer)
          const names = parameters.map((parameter) => parameter.split("=")[0])
          return (
            name === "permessage-deflate" &&
            new Set(names).size === names.length &&
            parameters.every((parameter) =>
              /^(server|client)_no_context_takeover$|^client_max_window_bits$|^(server|client)_max_window_bits=([89]|1[0-5])$/.test(
                parameter
              )
            )
          )
        })
        return legal ? undefined : `it offers ${value}`
      },
      { deflate: true }
    )
  ]),
  clause(
    "RFC 7692 §5.1",
    "A client MUST fail the connection if the answer has an unknown, illegal or repeated parameter.",
    [
      opens(
        "a legal parameter",
        { "Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=12" },
        { deflate: true }
      ),
      ...illegalParameters
        .filter(([name]) => !name.startsWith("server_max_window_bits without"))
        .map(([name, parameters]) =>
          failsWith(`illegal: ${name.replace(":", ",")}`, `permessage-deflate; ${parameters}`)
        ),
      failsWith("client_max_window_bits without a value", "permessage-deflate; client_max_window_bits"),
      failsWith("server_max_window_bits without a value", "permessage-deflate; server_max_window_bits")
    ]
  ),
  clause("RFC 7692 §5", "A client MUST fail the connection if the answer accepts the extension more than once.", [
    failsWith(
      "in one line",
      "permessage-deflate; server_max_window_bits=12, permessage-deflate; server_max_window_bits=12",
      "RFC 7692 §5"
    ),
    failsWith(
      "on two lines",
      ["permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=12"],
      "RFC 7692 §5"
    )
  ]),

  clause("RFC 7692 §6.1", "RSV1 marks a compressed message. It is set only on the first frame.", [
    over("text", [compressed], { messages: [hello] }),
    over("binary", [binary(deflated("Hello"), rsv1)], { messages: [binary("Hello")] }),
    over("compressed, plain, compressed", [compressed, hello, compressed], { messages: [hello, hello, hello] }),
    over(
      "in fragments, with a ping between",
      [text(first, { ...rsv1, fin: false }), ping("now"), continuation(second)],
      {
        pongs: [pong("now")],
        messages: [hello]
      }
    ),
    over(
      "between empty fragments",
      [text("", { ...rsv1, fin: false }), continuation("", unfinished), continuation(half, unfinished), continuation()],
      {
        messages: [hello]
      }
    ),
    over("on a continuation", [hello, text(first, { ...rsv1, fin: false }), continuation(second, rsv1)], {
      messages: [hello],
      end: continued
    }),
    over(
      "on a continuation of a plain message",
      [text("Hello", unfinished), continuation("", { ...rsv1, fin: false })],
      { end: continued }
    )
  ]),
  clause("RFC 7692 §6.1", "RSV1 MUST NOT be set on a control frame.", [
    over("a ping", [compressed, ping("", rsv1)], { messages: [hello], end: control }),
    over("a pong inside a message", [text(first, { ...rsv1, fin: false }), pong("", rsv1)], { end: control }),
    over("a Close", [rawClose(close(1000).payload, rsv1)], { end: control })
  ]),
  clause(
    "RFC 7692 §6",
    "The other reserved bits have no meaning. They fail the connection (RFC 6455 §5.2).",
    [1, 2, 3, 5, 6, 7].map((rsv) =>
      over(`RSV: ${rsv}`, [hello, text(half, { rsv }), hello], {
        messages: [hello],
        end: violated(1002, "5.2", "A reserved bit is set that no extension gave a meaning")
      })
    )
  ),
  clause("RFC 7692 §7.2.1", "Compressed data is sent without the last four bytes of its empty block.", [
    over("a message that compresses well", [text(large)], { messages: [text(large)] }),
    over("an empty message", [text()], { messages: [text()] })
  ]),
  clause("RFC 7692 §7.2.2", "An endpoint accepts every valid DEFLATE encoding of a message.", [
    over("an empty message of one byte", [text(fromHex("00"), rsv1)], { messages: [text()] }),
    over("§7.2.3.1, one block", [text(fromHex("f2 48 cd c9 c9 07 00"), rsv1)], { messages: [text("Hello")] }),
    over("§7.2.3.3, without compression", [text(fromHex("00 05 00 fa ff 48 65 6c 6c 6f 00"), rsv1)], {
      messages: [text("Hello")]
    }),
    over("§7.2.3.4, a final block", [text(fromHex("f3 48 cd c9 c9 07 00 00"), rsv1), compressed], {
      messages: [text("Hello"), hello]
    }),
    over("§7.2.3.5, two blocks", [text(fromHex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00"), rsv1)], {
      messages: [text("Hello")]
    }),
    over("messages, then a Close", [compressed, close(1000), compressed], { messages: [hello], end: closed(1000) })
  ]),
  clause("RFC 7692 §7.2.3.2", "With context takeover, a message may refer to earlier messages.", [
    over(
      "the same message twice",
      [text(half, rsv1), text(deflated("Hello, world!", { dictionary: Buffer.from("Hello, world!") }), rsv1)],
      {
        messages: [hello, hello],
        deflate: withContext
      }
    )
  ]),
  clause("RFC 7692 §7.2.2", "Data that is not valid DEFLATE fails the connection.", [
    over("a reserved block type", [hello, text(fromHex("0700"), rsv1), hello], { messages: [hello], end: corrupt }),
    over("a plain text with RSV1", [text("Hello, world!", rsv1)], { end: corrupt }),
    over("a truncated block", [text(first, rsv1)], { end: corrupt }),
    over("a reference to data before the beginning", [text(fromHex("f200110000"), rsv1)], { end: corrupt }),
    over("invalid data after a final block", [text(fromHex("f348cdc9c9070007ffffff"), rsv1)], { end: corrupt })
  ]),
  clause("RFC 7692 §7.2.2", "An inflated text message MUST be UTF-8 (RFC 6455 §8.1).", [
    over("not UTF-8", [text(deflated(Uint8Array.of(0xc3, 0x28)), rsv1)], { end: invalidUtf8 }),
    over(
      "truncated inside a character",
      [text(deflated(Uint8Array.of(0xe2, 0x82)), { ...rsv1, fin: false }), continuation()],
      { end: invalidUtf8 }
    ),
    over("a binary message need not be UTF-8", [binary(deflated(Uint8Array.of(0xc3, 0x28)), rsv1)], {
      messages: [binary(Uint8Array.of(0xc3, 0x28))]
    })
  ]),
  clause(
    "RFC 7692 §8",
    "The limit of a message counts the inflated bytes. The connection fails with 1009 (RFC 6455 §10.4).",
    [
      over("2 MiB of zeros in 2 KiB", [binary(deflated(new Uint8Array(2 * 1024 * 1024)), rsv1)], {
        end: {
          codes: [1009],
          error: {
            _tag: "Payload_too_large",
            limit: "message",
            max: 1024 * 1024,
            size: undefined,
            direction: "inbound"
          }
        }
      })
    ]
  )
]
