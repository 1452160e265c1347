/** RFC 6455 §5, §6 and §8.1: frames, fragments, control frames other than Close, and UTF-8. */
import type { Clause } from "../Clause.js"
import type { Role } from "../Role.js"
import {
  binary,
  close,
  concat,
  continuation,
  encode,
  fromLatin1,
  masksAs,
  ofOpcode,
  ping,
  pong,
  rawClose,
  sentTo,
  text,
  unfinished,
  type Frame,
  type LengthBits
} from "../Frame.js"
import { clause, closed, echoes, exchange, violated } from "./make.js"

const hello = text("Hello, world!")
const octets = (size: number) => binary(new Uint8Array(size).fill(0xfe))

// -- §5.1, §5.3 -------------------------------------------------------------------------------------------------------

const unmasked = violated(1002, "5.1", "A client's frame is not masked")
const maskedByServer = violated(1002, "5.1", "A server's frame is masked")
const anyFrame = [text("x"), binary(), ping("x"), close(1000), continuation("x", unfinished)]

const wronglyMasked = (role: Role) =>
  anyFrame.map((frame) =>
    exchange(
      `wrongly masked: ${kindOf(frame)}`,
      (to) => concat([sentTo(to, [hello]), encode(frame, to === "client")]),
      {
        roles: [role],
        messages: [hello],
        end: role === "server" ? unmasked : maskedByServer
      }
    )
  )

const kindOf = ({ fin, opcode }: Frame): string => `opcode ${opcode}${fin ? "" : ", no FIN"}`

const withKey = (key: ReadonlyArray<number>, frame: Frame) =>
  exchange(
    `with the key: ${Buffer.from(key).toString("hex")}`,
    () => encode(frame, true, undefined, Uint8Array.from(key)),
    { roles: ["server"], messages: [frame] }
  )

// -- §5.2 -------------------------------------------------------------------------------------------------------------

const reservedBit = violated(1002, "5.2", "A reserved bit is set that no extension gave a meaning")
const kinds: ReadonlyArray<readonly [string, (rsv: number) => Frame]> = [
  ["text", (rsv) => text("x", { rsv })],
  ["unfinished text", (rsv) => text("x", { rsv, fin: false })],
  ["binary", (rsv) => binary("x", { rsv })],
  ["ping", (rsv) => ping("x", { rsv })],
  ["pong", (rsv) => pong("x", { rsv })],
  ["close", (rsv) => rawClose(close(1000).payload, { rsv })],
  ["empty text", (rsv) => text("", { rsv })],
  ["continuation without start", (rsv) => continuation("x", { rsv })]
]

const reservedOpcode = (opcode: number) => violated(1002, "5.2", `The opcode 0x${opcode.toString(16)} is reserved`)

const long = violated(1002, "5.2", "A length is not in its shortest form")
const inBits = (size: number, bits: LengthBits) =>
  exchange(
    `longer than needed: ${size} in ${bits} bits`,
    (role) => concat([sentTo(role, [hello]), encode(octets(size), masksOf(role), bits)]),
    {
      messages: [hello],
      end: long
    }
  )
const masksOf = (role: Role): boolean => !masksAs(role)

const ofLength = (role: Role, length: bigint): Uint8Array => {
  const header = Buffer.alloc(10)
  header[0] = 0x82
  header[1] = 127 | (masksOf(role) ? 0x80 : 0)
  header.writeBigUInt64BE(length, 2)
  return concat([header, new Uint8Array(masksOf(role) ? 4 : 0)])
}

const tooLarge = (limit: string, max: number, size: number | undefined) => ({
  codes: [1009, 1002],
  error: { _tag: "Payload_too_large", limit, max, size, direction: "inbound" }
})

// -- §5.4 -------------------------------------------------------------------------------------------------------------

const fragmentedControl = violated(1002, "5.5", "A control frame is fragmented")
const noMessage = violated(1002, "5.4", "A continuation frame has no message to continue")
const newMessage = violated(1002, "5.4", "A new message begins inside a fragmented one")
const start = text("fragment1", unfinished)
const finish = continuation("fragment2")
const whole = text("fragment1fragment2")
const rounds = Array.from({ length: 100 }, (_, i) => i)
const interleaved: ReadonlyArray<Frame> = rounds
  .slice(0, 30)
  .flatMap((i) => [ping(`ping ${i}`), continuation(`${i},`, unfinished), continuation("", unfinished), pong(`${i}`)])

// -- §5.5 -------------------------------------------------------------------------------------------------------------

const longControl = violated(1002, "5.5", "A control frame has more than 125 bytes")
const full = new Uint8Array(125).fill(0xfe)
const ten = Array.from({ length: 10 }, (_, i) => `payload-${i}`)

// -- §8.1 -------------------------------------------------------------------------------------------------------------

const invalid = violated(1007, "8.1", "A text message is not UTF-8")
const greeting = "Hello-µ@ßöäüàá-UTF-8!!"
const kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"

/** A text in fragments. Each part is given in Latin-1. */
const fragmented = (...parts: ReadonlyArray<string>): ReadonlyArray<Frame> =>
  parts.map((part, i) => (i === 0 ? text : continuation)(fromLatin1(part), i === parts.length - 1 ? {} : unfinished))

const notUtf8: ReadonlyArray<readonly [name: string, octets: string]> = [
  ["a lone continuation byte", "\x80"],
  ["one continuation byte too many", "\xc2\x80\xbf"],
  ["incomplete", "\xe1\xbd"],
  ["overlong slash", "\xc0\xaf"],
  ["overlong NUL", "\xc0\x80"],
  ["overlong U+FFFF", "\xf0\x8f\xbf\xbf"],
  ["a surrogate", "\xed\xa0\x80"],
  ["a pair of surrogates", "\xed\xa0\x81\xed\xb0\x80"],
  ["U+110000", "\xf4\x90\x80\x80"],
  ["F5", "\xf5\x80\x80\x80"],
  ["five bytes", "\xf8\x88\x80\x80\x80"],
  ["FE", "\xfe"],
  ["FF", "\xff"]
]

export const frames: ReadonlyArray<Clause> = [
  clause(
    "RFC 6455 §5.1",
    "A server MUST close the connection when it receives a frame that is not masked.",
    wronglyMasked("server")
  ),
  clause(
    "RFC 6455 §5.1",
    "A client MUST close the connection when it receives a frame that is masked.",
    wronglyMasked("client")
  ),
  clause("RFC 6455 §5.1", "A client MUST mask every frame that it sends. A server MUST NOT mask any frame.", [
    echoes("text and binary", [hello, octets(3)]),
    exchange("a pong", [ping("x")], { pongs: [pong("x")] }),
    exchange("a Close", [close(1000)], { end: closed(1000) })
  ]),
  clause(
    "RFC 6455 §5.3",
    "Unmasking is the exclusive or of byte i with byte i modulo 4 of the key, for any key and length.",
    [
      ...[1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 1000].map((size) =>
        withKey([0x12, 0x34, 0x56, 0x78 ^ (size & 0xff)], octets(size))
      ),
      withKey([0, 0, 0, 0], hello),
      withKey([0xff, 0xff, 0xff, 0xff], hello)
    ]
  ),
  clause("RFC 6455 §5.3", "A client MUST choose a new mask key for each frame.", [
    echoes(
      "ten messages",
      ten.map((payload) => text(payload)),
      {
        roles: ["client"],
        inspect: (written) => {
          const keys = new Set(written.map((frame) => ("key" in frame ? frame.key : undefined)))
          return keys.size === written.length ? undefined : `${keys.size} keys for ${written.length} frames`
        }
      }
    )
  ]),
  clause("RFC 6455 §5.2", "A reserved bit without a meaning from an extension MUST fail the connection.", [
    ...kinds.flatMap(([kind, make]) =>
      [1, 2, 3, 4, 5, 6, 7].flatMap((rsv) => [
        exchange(`RSV 1 to 7 on ${kind}: ${rsv}`, [make(rsv)], { end: reservedBit }),
        exchange(`RSV 1 to 7 on ${kind}, after a message: ${rsv}`, [hello, make(rsv), ping()], {
          messages: [hello],
          end: reservedBit
        })
      ])
    ),
    ...[1, 2, 4].flatMap((rsv) =>
      [continuation("x", { rsv }), ping("x", { rsv })].map((frame) =>
        exchange(`RSV inside a message: ${rsv} on opcode ${frame.opcode}`, [start, frame], { end: reservedBit })
      )
    )
  ]),
  clause(
    "RFC 6455 §5.2",
    "An unknown opcode MUST fail the connection.",
    [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode) =>
      ["", "reserved opcode payload"].flatMap((payload) => {
        const frame = ofOpcode(opcode, payload)
        const variant = `${opcode} with ${payload.length} bytes`
        const end = reservedOpcode(opcode)
        return [
          exchange(`opcodes 3–7 and 11–15: ${variant}`, [frame], { end }),
          exchange(`opcodes 3–7 and 11–15, after a message: ${variant}`, [hello, frame, ping()], {
            messages: [hello],
            end
          }),
          exchange(`opcodes 3–7 and 11–15, inside a message: ${variant}`, [start, frame], { end })
        ]
      })
    )
  ),
  clause(
    "RFC 6455 §5.2",
    "A length has 7, 16 or 64 bits. An endpoint accepts every length, and sends the shortest form.",
    [0, 1, 125, 126, 127, 128, 65535, 65536, 70000].flatMap((size) => [
      echoes(`text: ${size} bytes`, [text("*".repeat(size))]),
      echoes(`binary: ${size} bytes`, [octets(size)])
    ])
  ),
  clause(
    "RFC 6455 §5.2",
    "A sender MUST write a length in its shortest form. (A receiver that accepts a longer form is lenient.)",
    [...[0, 1, 125].map((size) => inBits(size, 16)), ...[0, 1, 125, 126, 65535].map((size) => inBits(size, 64))]
  ),
  clause(
    "RFC 6455 §5.2",
    "The most significant bit of a 64-bit length MUST be 0.",
    [1n << 63n, (1n << 63n) + 5n, (1n << 64n) - 1n].map((length) =>
      exchange(`2^63 and above: ${length}`, (role) => concat([sentTo(role, [hello]), ofLength(role, length)]), {
        messages: [hello],
        end: tooLarge("frame", Number.MAX_SAFE_INTEGER, undefined)
      })
    )
  ),
  clause("RFC 6455 §10.4", "An endpoint MUST limit the size of frames and messages. It closes with 1009 (§7.4.1).", [
    ...[1n << 32n, (1n << 32n) + 5n, 1n << 52n].map((length) =>
      exchange(
        `announced, but no byte of it sent: ${length}`,
        (role) => concat([sentTo(role, [hello]), ofLength(role, length)]),
        {
          messages: [hello],
          end: tooLarge("message", 1024 * 1024, Number(length))
        }
      )
    ),
    exchange(
      "more than 1 MiB in fragments",
      [binary(new Uint8Array(700_000), unfinished), continuation(new Uint8Array(700_000))],
      { end: tooLarge("message", 1024 * 1024, 1_400_000) }
    )
  ]),

  clause(
    "RFC 6455 §5.4",
    "The fragments of a message, also empty ones, form one message. The first fragment has its kind.",
    [
      exchange("text in two fragments", [start, finish], { messages: [whole] }),
      exchange(
        "binary in two fragments",
        [binary(Uint8Array.of(0xff), unfinished), continuation(Uint8Array.of(0xc0))],
        {
          messages: [binary(Uint8Array.of(0xff, 0xc0))]
        }
      ),
      exchange("three empty fragments", [text("", unfinished), continuation("", unfinished), continuation()], {
        messages: [text()]
      }),
      exchange(
        "a fragment between empty ones",
        [text("", unfinished), continuation("middle", unfinished), continuation()],
        {
          messages: [text("middle")]
        }
      ),
      exchange(
        "messages in fragments, one after another",
        rounds.flatMap((i) => [
          text(`${i}:`, unfinished),
          continuation(`${i}`),
          binary(`${i}`, unfinished),
          continuation()
        ]),
        { messages: rounds.flatMap((i) => [text(`${i}:${i}`), binary(`${i}`)]) }
      ),
      exchange("a message that has not ended is not delivered", [start, close(1000)], { end: closed(1000) })
    ]
  ),
  clause("RFC 6455 §5.4", "An endpoint MUST handle control frames in the middle of a fragmented message.", [
    exchange("a ping", [start, ping("pongme"), finish], { pongs: [pong("pongme")], messages: [whole] }),
    exchange("a pong", [start, pong("unsolicited"), finish], { messages: [whole] }),
    exchange("a Close", [start, close(1000), finish], { end: closed(1000) }),
    exchange(
      "30 pings and 30 pongs inside a message of 62 fragments",
      [text("", unfinished), ...interleaved, continuation("end")],
      {
        pongs: rounds.slice(0, 30).map((i) => pong(`ping ${i}`)),
        messages: [text(`${rounds.slice(0, 30).join(",")},end`)]
      }
    )
  ]),
  clause("RFC 6455 §5.4", "Control frames MUST NOT be fragmented.", [
    exchange("a ping", [ping("a", unfinished), continuation("b")], { end: fragmentedControl }),
    exchange("a pong", [pong("a", unfinished), continuation("b")], { end: fragmentedControl }),
    exchange("a Close, after a message", [hello, { ...close(1000), fin: false }], {
      messages: [hello],
      end: fragmentedControl
    }),
    exchange("a ping inside a message", [start, ping("", unfinished)], { end: fragmentedControl })
  ]),
  clause("RFC 6455 §5.4", "The fragments of one message MUST NOT be interleaved with another message.", [
    exchange("both fragments with a text opcode", [start, text("fragment2")], { end: newMessage }),
    exchange("an unfinished text inside another", [hello, start, start], { messages: [hello], end: newMessage }),
    exchange("binary inside a text", [start, binary("x"), finish], { end: newMessage }),
    exchange("empty text inside a binary", [binary("x", unfinished), text()], { end: newMessage })
  ]),
  clause("RFC 6455 §5.4", "A continuation MUST have a message to continue.", [
    exchange("at the beginning, with FIN", [continuation("x"), hello], { end: noMessage }),
    exchange("at the beginning, without FIN", [continuation("x", unfinished), hello], { end: noMessage }),
    exchange("empty, after a message", [hello, continuation(), hello], { messages: [hello], end: noMessage }),
    exchange("after the end of a fragmented message", [start, finish, continuation("x", unfinished), text("y")], {
      messages: [whole],
      end: noMessage
    })
  ]),

  clause("RFC 6455 §5.5", "The payload of a control frame MUST NOT have more than 125 bytes.", [
    exchange("a ping of 126", [hello, ping(new Uint8Array(126))], { messages: [hello], end: longControl }),
    exchange("a pong of 126", [ping("a"), pong(new Uint8Array(126))], { pongs: [pong("a")], end: longControl }),
    exchange("a Close of 126", [close(1000, "*".repeat(124))], { end: longControl }),
    exchange("a ping of 65536", [ping(new Uint8Array(65536))], { end: longControl })
  ]),
  clause("RFC 6455 §5.5.2", "An endpoint MUST answer a ping with a pong.", [
    exchange("without payload", [ping()], { pongs: [pong()] }),
    exchange(
      "ten pings",
      ten.map((payload) => ping(payload)),
      { pongs: ten.map((payload) => pong(payload)) }
    ),
    exchange("no pong after a Close", [close(1000), ping("late")], { end: closed(1000) })
  ]),
  clause("RFC 6455 §5.5.3", "A pong MUST have the payload of its ping.", [
    exchange("text", [ping("Hello, world!")], { pongs: [pong("Hello, world!")] }),
    exchange("octets", [ping(Uint8Array.of(0, 255, 254, 253, 0, 255))], {
      pongs: [pong(Uint8Array.of(0, 255, 254, 253, 0, 255))]
    }),
    exchange("125 bytes", [ping(full)], { pongs: [pong(full)] })
  ]),
  clause("RFC 6455 §5.5.3", "An endpoint does not answer an unsolicited pong.", [
    exchange("without payload", [pong()]),
    exchange("with payload", [pong("unsolicited")]),
    exchange("before a ping", [pong("unsolicited"), ping("ping")], { pongs: [pong("ping")] })
  ]),

  clause("RFC 6455 §5.6", "A text message is UTF-8 as a whole. A single fragment need not be.", [
    echoes("valid: one frame", [text(greeting)]),
    exchange("valid: cut inside a character", fragmented("\xce", "\xba\xe1\xbd", "\xb9"), {
      messages: fragmented("\xce\xba\xe1\xbd\xb9")
    }),
    exchange("valid: one fragment per byte", fragmented(...kosme), { messages: fragmented(kosme) }),
    echoes("valid: a byte order mark", [text("\ufeffx")]),
    echoes("valid: noncharacters and the last code point", [text("\uffff\u{1ffff}\u{10ffff}\ufffd")]),
    echoes("a binary message need not be UTF-8", [binary(fromLatin1("\xff\xfe\xed\xa0\x80"))])
  ]),
  clause(
    "RFC 6455 §8.1",
    "A text that is not UTF-8 MUST fail the connection with 1007 (§7.4.1).",
    notUtf8.flatMap(([name, sequence]) => [
      exchange(`one frame: ${name}`, [hello, ...fragmented(`${kosme}${sequence}`)], {
        messages: [hello],
        end: invalid
      }),
      exchange(`one fragment per byte: ${name}`, fragmented(...kosme, ...sequence, ""), { end: invalid })
    ])
  )
]
