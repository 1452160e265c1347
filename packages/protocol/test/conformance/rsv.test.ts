import type { Frame } from "@effect-websocket/protocol/Frame"
import {
  binary,
  close,
  conformance,
  continuation,
  ping,
  pong,
  rawClose,
  text,
  unfinished,
  violated
} from "./support.js"

const end = violated(1002, "5.2", "A reserved bit is set that no extension gave a meaning")
const hello = text("Hello, world!")

conformance("reserved bits", [
  { name: "3.1 text with RSV 1", input: [text("Hello, world!", { rsv: 1 })], output: [], end },
  { name: "3.2 text, text with RSV 2, ping", input: [hello, text("*", { rsv: 2 }), ping()], output: [hello], end },
  { name: "3.3, 3.4 text, text with RSV 3", input: [hello, text("*", { rsv: 3 }), ping()], output: [hello], end },
  { name: "3.5 binary with RSV 5", input: [binary(Uint8Array.of(0, 255), { rsv: 5 })], output: [], end },
  { name: "3.6 ping with RSV 6", input: [ping("Hello, world!", { rsv: 6 })], output: [], end },
  { name: "3.7 close with RSV 7", input: [rawClose(close(1000).payload, { rsv: 7 })], output: [], end }
])

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

conformance(
  "every combination of reserved bits",
  kinds.flatMap(([kind, make]) =>
    [1, 2, 3, 4, 5, 6, 7].flatMap((rsv) => [
      { name: `${kind} with RSV ${rsv}`, input: [make(rsv)], output: [], end },
      { name: `message, then ${kind} with RSV ${rsv}`, input: [hello, make(rsv), ping()], output: [hello], end }
    ])
  )
)

conformance(
  "reserved bits inside a message",
  [1, 2, 4].flatMap((rsv) =>
    [continuation("x", { rsv }), ping("x", { rsv })].map((frame) => ({
      name: `opcode ${frame.opcode} with RSV ${rsv}`,
      input: [text("x", unfinished), frame],
      output: [],
      end
    }))
  )
)
