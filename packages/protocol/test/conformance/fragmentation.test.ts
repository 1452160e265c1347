import type { Frame } from "@effect-websocket/protocol/Frame"
import { binary, close, closed, conformance, continuation, ping, pong, text, unfinished, violated } from "./support.js"

const fragmentedControl = violated(1002, "5.5", "A control frame is fragmented")
const noMessage = violated(1002, "5.4", "A continuation frame has no message to continue")
const newMessage = violated(1002, "5.4", "A new message begins inside a fragmented one")

const hello = text("Hello, world!")
const start = text("fragment1", unfinished)
const finish = continuation("fragment2")
const whole = text("fragment1fragment2")

const rounds = Array.from({ length: 100 }, (_, i) => i)

conformance("fragmentation", [
  {
    name: "5.1 ping in two fragments",
    input: [ping("a", unfinished), continuation("b")],
    output: [],
    end: fragmentedControl
  },
  {
    name: "5.2 pong in two fragments",
    input: [pong("a", unfinished), continuation("b")],
    output: [],
    end: fragmentedControl
  },
  {
    name: "close in two fragments, after a message",
    input: [hello, { ...close(1000), fin: false }],
    output: [hello],
    end: fragmentedControl
  },
  { name: "5.3–5.5 text in two fragments", input: [start, finish], output: [whole] },
  {
    name: "binary in two fragments",
    input: [binary(Uint8Array.of(0xff), unfinished), continuation(Uint8Array.of(0xc0))],
    output: [binary(Uint8Array.of(0xff, 0xc0))]
  },
  {
    name: "5.6–5.8 text in two fragments, ping between",
    input: [start, ping("pongme"), finish],
    output: [pong("pongme"), whole]
  },
  { name: "pong between fragments", input: [start, pong("unsolicited"), finish], output: [whole] },
  {
    name: "5.9–5.11 continuation with FIN and nothing to continue",
    input: [continuation("non-continuation payload"), hello],
    output: [],
    end: noMessage
  },
  {
    name: "5.12–5.14 continuation without FIN and nothing to continue",
    input: [continuation("non-continuation payload", unfinished), hello],
    output: [],
    end: noMessage
  },
  {
    name: "empty continuation with nothing to continue",
    input: [hello, continuation(), hello],
    output: [hello],
    end: noMessage
  },
  {
    name: "5.15 continuation after the end of a fragmented message",
    input: [start, finish, continuation("fragment3", unfinished), text("fragment4")],
    output: [whole],
    end: noMessage
  },
  {
    name: "5.16 continuation without FIN, then a fragmented message, twice",
    input: [
      continuation("fragment1", unfinished),
      text("fragment2", unfinished),
      continuation("fragment3"),
      start,
      finish
    ],
    output: [],
    end: noMessage
  },
  {
    name: "5.17 continuation with FIN, then a fragmented message, twice",
    input: [continuation("fragment1"), text("fragment2", unfinished), continuation("fragment3"), start, finish],
    output: [],
    end: noMessage
  },
  { name: "5.18 both fragments with a text opcode", input: [start, text("fragment2")], output: [], end: newMessage },
  {
    name: "an unfinished text inside an unfinished one",
    input: [hello, start, start],
    output: [hello],
    end: newMessage
  },
  { name: "binary inside a fragmented text", input: [start, binary("x"), finish], output: [], end: newMessage },
  {
    name: "empty text inside a fragmented binary",
    input: [binary("x", unfinished), text()],
    output: [],
    end: newMessage
  },
  {
    name: "5.19, 5.20 five fragments with pings between",
    input: [
      text("fragment1", unfinished),
      continuation("fragment2", unfinished),
      ping("pongme 1!"),
      continuation("fragment3", unfinished),
      continuation("fragment4", unfinished),
      ping("pongme 2!"),
      continuation("fragment5")
    ],
    output: [pong("pongme 1!"), pong("pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5")]
  },
  {
    name: "messages in fragments, one after another",
    input: rounds.flatMap((i) => [
      text(`${i}:`, unfinished),
      continuation(`${i}`),
      binary(`${i}`, unfinished),
      continuation()
    ]),
    output: rounds.flatMap((i) => [text(`${i}:${i}`), binary(`${i}`)])
  },
  { name: "a message that has not ended is not echoed", input: [start, close(1000)], output: [], end: closed(1000) }
])

const interleaved: ReadonlyArray<Frame> = rounds
  .slice(0, 30)
  .flatMap((i) => [ping(`ping ${i}`), continuation(`${i},`, unfinished), continuation("", unfinished), pong(`${i}`)])

conformance(
  "long interleaving",
  [
    {
      name: "30 pings and 30 pongs inside a message of 62 fragments",
      input: [text("", unfinished), ...interleaved, continuation("end")],
      output: [...rounds.slice(0, 30).map((i) => pong(`ping ${i}`)), text(`${rounds.slice(0, 30).join(",")},end`)]
    }
  ],
  [2, 3, 5, 7, 11]
)
