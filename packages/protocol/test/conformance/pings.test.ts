import { conformance, ping, pong, violated } from "./support.js"

const full = new Uint8Array(125).fill(0xfe)
const ten = Array.from({ length: 10 }, (_, i) => `payload-${i}`)
const octets = Uint8Array.of(0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff)
const tooLong = violated(1002, "5.5", "A control frame has more than 125 bytes")

conformance("pings and pongs", [
  { name: "2.1 ping without payload", input: [ping()], output: [pong()] },
  { name: "2.2 ping with text", input: [ping("Hello, world!")], output: [pong("Hello, world!")] },
  { name: "2.3 ping with octets", input: [ping(octets)], output: [pong(octets)] },
  { name: "2.4, 2.6 ping of 125 bytes", input: [ping(full)], output: [pong(full)] },
  { name: "2.5 ping of 126 bytes", input: [ping(new Uint8Array(126))], output: [], end: tooLong },
  { name: "pong of 126 bytes", input: [ping("a"), pong(new Uint8Array(126))], output: [pong("a")], end: tooLong },
  { name: "2.7 unsolicited pong", input: [pong()], output: [] },
  { name: "2.8 unsolicited pong with payload", input: [pong("unsolicited")], output: [] },
  { name: "2.9 unsolicited pong, then ping", input: [pong("unsolicited"), ping("ping")], output: [pong("ping")] },
  {
    name: "2.10, 2.11 ten pings",
    input: ten.map((payload) => ping(payload)),
    output: ten.map((payload) => pong(payload))
  }
])
