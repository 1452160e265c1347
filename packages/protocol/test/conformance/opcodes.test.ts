import { conformance, ping, reserved, text, violated } from "./support.js"

const reservedOpcodes: ReadonlyArray<readonly [opcode: number, number: string]> = [
  [3, "4.1.1"],
  [4, "4.1.2"],
  [5, "4.1.3"],
  [6, "4.1.4"],
  [7, "4.1.5"],
  [11, "4.2.1"],
  [12, "4.2.2"],
  [13, "4.2.3"],
  [14, "4.2.4"],
  [15, "4.2.5"]
]
const hello = text("Hello, world!")

conformance(
  "reserved opcodes",
  reservedOpcodes.flatMap(([opcode, number]) => {
    const end = violated(1002, "5.2", `The opcode 0x${opcode.toString(16)} is reserved`)
    return ["", "reserved opcode payload"].flatMap((payload) => {
      const frame = reserved(opcode, payload)
      const title = `${number} opcode ${opcode} with ${payload.length} bytes`
      return [
        { name: title, input: [frame], output: [], end },
        { name: `${title} after a message`, input: [hello, frame, ping()], output: [hello], end },
        { name: `${title} inside a message`, input: [text("x", { fin: false }), frame], output: [], end }
      ]
    })
  })
)
